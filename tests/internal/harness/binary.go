package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Binary is the wsgid binary that every world uses.
type Binary struct {
	// Path of the binary; readable and executable by everybody.
	Path string
	// CLI is the same without instrumentation, for verbs that only ask.
	CLI string
	// Sanitized: built with AddressSanitizer.
	Sanitized bool
	dir       string
}

// Build builds the binary once for all tests: plain, or with the race
// detector (WSGID_TEST_RACE=1) or AddressSanitizer (WSGID_TEST_ASAN=1);
// WSGID_TEST_BINARY names a finished one instead. It ends in a directory that
// the users of the groups can read, which a checkout in a home directory is not.
func Build() (*Binary, error) {
	dir, err := os.MkdirTemp("/tmp", "wsgid-binary-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the binary: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening %s to all users: %w", dir, err)
	}
	binary := &Binary{Path: filepath.Join(dir, "wsgid"), dir: dir, Sanitized: os.Getenv("WSGID_TEST_ASAN") == "1"}
	if given := os.Getenv("WSGID_TEST_BINARY"); given != "" {
		content, err := os.ReadFile(given)
		if err != nil {
			return nil, fmt.Errorf("reading WSGID_TEST_BINARY: %w", err)
		}
		binary.CLI = binary.Path
		return binary, os.WriteFile(binary.Path, content, 0o755)
	}
	binary.CLI = binary.Path
	args := []string{"build", "-o", binary.Path}
	switch {
	case binary.Sanitized:
		args = append(args, "-asan")
		object, err := binary.sanitizerDefaults()
		if err != nil {
			return nil, err
		}
		args = append(args, "-ldflags=-extldflags="+object)
	case os.Getenv("WSGID_TEST_RACE") == "1":
		args = append(args, "-race")
	}
	build := exec.Command("go", append(append([]string(nil), args...), "github.com/wsgid/wsgid/cmd/wsgid")...)
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building wsgid: %w\n%s", err, out)
	}
	if len(args) > 3 {
		binary.CLI = filepath.Join(dir, "cli")
		if out, err := exec.Command("go", "build", "-o", binary.CLI, "github.com/wsgid/wsgid/cmd/wsgid").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building wsgid without instrumentation: %w\n%s", err, out)
		}
	}
	return binary, nil
}

// sanitizerDefaults compiles options into the binary: children are started
// with a clean environment, so ASAN_OPTIONS does not reach them. Leak
// detection is off because Python frees little at its end.
func (b *Binary) sanitizerDefaults() (string, error) {
	source := filepath.Join(b.dir, "options.c")
	object := filepath.Join(b.dir, "options.o")
	text := "const char *__asan_default_options(void);\n" +
		"const char *__asan_default_options(void) { return \"detect_leaks=0:abort_on_error=1\"; }\n"
	if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("writing the sanitizer's options: %w", err)
	}
	if out, err := exec.Command("gcc", "-c", "-o", object, source).CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling the sanitizer's options: %w\n%s", err, out)
	}
	return object, nil
}

// Remove deletes the binary.
func (b *Binary) Remove() { os.RemoveAll(b.dir) }
