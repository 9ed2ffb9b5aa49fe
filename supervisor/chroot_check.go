package supervisor

import (
	"debug/elf"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/config"
)

// ChrootFinding is something that a root directory lacks.
type ChrootFinding struct {
	Group string
	// Path is what is missing, as the processes would see it, or empty; Why who
	// needs it; Remedy what to do.
	Path, Why, Remedy string
	// Needed: without it no process of the group can run.
	Needed bool
}

// CheckChroots looks into the root directories of the groups that have one, and
// lists what is missing there. It executes nothing.
func CheckChroots(cfg *config.Config) []ChrootFinding {
	var all []ChrootFinding
	for i := range cfg.DaemonProcesses {
		c := &cfg.DaemonProcesses[i]
		if c.Chroot == "" {
			continue
		}
		if info, err := os.Stat(c.Chroot); err != nil || !info.IsDir() {
			continue // said already: the group is impossible
		}
		j := &jail{root: c.Chroot, group: c.Name, seen: map[string]bool{}}
		j.python(c)
		j.scripts(cfg, c)
		j.files()
		all = append(all, j.findings...)
	}
	return all
}

// jail is a root directory that is looked at.
type jail struct {
	root, group string
	findings    []ChrootFinding
	seen        map[string]bool // libraries that were looked for
}

func (j *jail) missing(needed bool, name, why, remedy string) {
	if remedy == "" {
		remedy = "put it there"
		if info, err := os.Stat(name); err == nil && name != "" {
			how := "-L"
			if info.IsDir() {
				how = "-dR"
			}
			remedy = fmt.Sprintf("cp --parents %s %s %s", how, name, j.root)
		}
	}
	j.findings = append(j.findings, ChrootFinding{Group: j.group, Path: name, Why: why, Remedy: remedy, Needed: needed})
}

// maxLinks is how many symbolic links a path may have, as in the kernel.
const maxLinks = 40

// real is where name leads to inside, symbolic links followed as a process in
// there would; false: nothing is there.
func (j *jail) real(name string) (string, bool) {
	rest := strings.Split(strings.Trim(name, "/"), "/")
	at, links := "/", 0
	for len(rest) > 0 {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(filepath.Join(j.root, next))
		if err != nil {
			return "", false
		}
		if info.Mode()&os.ModeSymlink == 0 {
			at = next
			continue
		}
		target, err := os.Readlink(filepath.Join(j.root, next))
		if links++; err != nil || links > maxLinks {
			return "", false
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	return at, true
}

func (j *jail) has(name string) bool {
	_, ok := j.real(name)
	return ok
}

// versionOfName is "3.11" of "python3.11".
var versionOfName = regexp.MustCompile(`^python(3\.[0-9]+t?)$`)

// executable is the Python that the group names, and where that really lies;
// empty if it is neither inside nor on the machine, which could be copied.
func (j *jail) executable(c *config.DaemonProcess) (real string) {
	candidates, why := []string{c.Python}, "python is looked up inside chroot, with its symbolic links"
	switch {
	case c.PythonHome != "":
		candidates = []string{path.Join(c.PythonHome, "bin/python"), path.Join(c.PythonHome, "bin/python3")}
		why = "python_home is looked up inside chroot, with its symbolic links"
	case c.Python == "":
		candidates = nil
		for _, dir := range strings.Split(childPath, ":") {
			candidates = append(candidates, path.Join(dir, "python3"))
		}
		why = "there is no python3 in " + childPath
	}
	for _, candidate := range candidates {
		if real, ok := j.real(candidate); ok {
			return real
		}
	}
	for _, candidate := range candidates {
		if real, err := filepath.EvalSymlinks(candidate); err == nil {
			j.missing(true, candidate, why, fmt.Sprintf("cp --parents -d %s %s", strings.Join(linkChain(candidate), " "), j.root))
			return real
		}
	}
	j.missing(true, candidates[0], why, "")
	return ""
}

// linkChain is a file of the machine and those that its symbolic links lead
// over: the names in between tell which Python it is.
func linkChain(name string) []string {
	chain := []string{name}
	for range maxLinks {
		target, err := os.Readlink(name)
		if err != nil {
			break
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		name = target
		chain = append(chain, name)
	}
	return chain
}

// python looks for the group's Python, its library, and what that needs.
func (j *jail) python(c *config.DaemonProcess) {
	real := j.executable(c)
	match := versionOfName.FindStringSubmatch(path.Base(real))
	if match == nil {
		return // its name does not tell the version: wsgid check --apps starts it
	}
	version, prefix := match[1], path.Dir(path.Dir(real))
	library := ""
	for _, pattern := range []string{"lib", "lib64", "lib/*-linux-*"} {
		found, err := filepath.Glob(filepath.Join(j.root, prefix, pattern, "libpython"+version+".so.1.0"))
		if err == nil && len(found) > 0 && library == "" {
			library = j.inside(found[0])
		}
	}
	if library == "" {
		library = onMachine(path.Join(prefix, "lib/libpython"+version+".so.1.0"))
		j.missing(true, library, "the library of "+real, "")
	}
	j.libraries(library, true)
	standard := path.Join(prefix, "lib", "python"+version)
	if !j.has(path.Join(standard, "encodings")) {
		j.missing(true, standard, "the standard library", "")
	}
	for _, root := range []string{j.root, "/"} {
		extensions, err := filepath.Glob(filepath.Join(root, standard, "lib-dynload", "*.so"))
		if err != nil || len(extensions) == 0 {
			continue
		}
		for _, extension := range extensions {
			j.libraries(path.Join(standard, "lib-dynload", path.Base(extension)), false)
		}
		return
	}
}

// inside is what a file of the machine below the root directory is called there.
func (j *jail) inside(name string) string {
	return strings.TrimPrefix(name, strings.TrimRight(j.root, "/"))
}

// elf opens a file inside or, until it has been copied, the machine's own.
func (j *jail) elf(inside string) (*elf.File, error) {
	if real, ok := j.real(inside); ok {
		return elf.Open(filepath.Join(j.root, real))
	}
	return elf.Open(inside)
}

// onMachine is where the machine has the file, if Debian's directories differ.
func onMachine(name string) string {
	found, err := filepath.Glob(path.Join(path.Dir(name), "*-linux-*", path.Base(name)))
	if err == nil && len(found) > 0 {
		return found[0]
	}
	return name
}

// libraries looks for the shared libraries that an ELF file inside needs.
func (j *jail) libraries(inside string, needed bool) {
	file, err := j.elf(inside)
	if err != nil {
		return // Python itself will say what is wrong with it
	}
	defer func() { _ = file.Close() }() // only read
	names, err := file.ImportedLibraries()
	if err != nil {
		return
	}
	var own []string
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		values, err := file.DynString(tag)
		if err != nil {
			continue
		}
		for _, value := range values {
			for dir := range strings.SplitSeq(value, ":") {
				own = append(own, strings.NewReplacer("$ORIGIN", path.Dir(inside), "${ORIGIN}", path.Dir(inside)).Replace(dir))
			}
		}
	}
	for _, name := range names {
		if j.seen[name] {
			continue
		}
		j.seen[name] = true
		if found := j.library(name, own); found != "" {
			j.libraries(found, needed)
			continue
		}
		there := onMachineLibrary(name)
		j.missing(needed, there, "needed by "+inside, "")
		j.libraries(there, needed)
	}
}

// libraryDirectories are those that the loader looks into by itself, and where
// distributions keep libraries.
func libraryDirectories(root string) []string {
	dirs := []string{"/lib", "/usr/lib", "/lib64", "/usr/lib64"}
	for _, pattern := range []string{"/lib/*-linux-*", "/usr/lib/*-linux-*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			continue
		}
		for _, dir := range found {
			dirs = append(dirs, strings.TrimPrefix(dir, strings.TrimRight(root, "/")))
		}
	}
	return append(dirs, "/usr/local/lib")
}

// library is where a library lies inside, or empty.
func (j *jail) library(name string, own []string) string {
	for _, dir := range slices.Concat(own, libraryDirectories(j.root)) {
		if real, ok := j.real(path.Join(dir, name)); ok {
			return real
		}
	}
	return ""
}

// onMachineLibrary is where the machine has it, else its name alone.
func onMachineLibrary(name string) string {
	for _, dir := range libraryDirectories("/") {
		if candidate := path.Join(dir, name); exists(candidate) {
			return candidate
		}
	}
	return name
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// scripts looks for the scripts that the group is known to run.
func (j *jail) scripts(cfg *config.Config, c *config.DaemonProcess) {
	look := func(file, why string) {
		inside, ok := c.Inside(path.Clean(file))
		if ok && !j.has(inside) {
			j.missing(false, inside, why, "put it to "+file)
		}
	}
	for _, mount := range cfg.Mounts() {
		if mount.ProcessGroup == c.Name {
			look(mount.Target, "the script of a mount")
		}
	}
	for _, script := range cfg.ImportScripts {
		if script.ProcessGroup == c.Name {
			look(script.Path, "an import_script")
		}
	}
	if c.Home != "" && !j.has(c.Home) {
		j.missing(true, c.Home, "home, the working directory", fmt.Sprintf("mkdir -p %s", filepath.Join(j.root, c.Home)))
	}
	for _, dir := range c.PythonPath {
		if !j.has(dir) {
			j.missing(false, dir, "python_path", "")
		}
	}
	if c.PrivateTmp && !j.has("/tmp") {
		j.missing(true, "/tmp", "private_tmp puts an empty one in its place", fmt.Sprintf("mkdir -m 1777 %s", filepath.Join(j.root, "tmp")))
	}
}

// files looks for what applications take for granted. None of it is needed to start.
func (j *jail) files() {
	devices := map[string]int{"null": 3, "urandom": 9}
	for _, name := range []string{"null", "urandom"} {
		if device := "/dev/" + name; !j.has(device) {
			j.missing(false, device, "programs and libraries open it", fmt.Sprintf("mkdir -p %s && mknod -m 666 %s c 1 %d", filepath.Join(j.root, "dev"), filepath.Join(j.root, device), devices[name]))
		}
	}
	for _, file := range []struct{ name, why, remedy string }{
		{"/etc/passwd", "names of users (pwd, getpass, ~)", "a file with the users of the group alone"},
		{"/etc/group", "names of groups (grp)", "a file with the groups of the group alone"},
		{"/etc/nsswitch.conf", "how host names are looked up", ""},
		{"/etc/resolv.conf", "which name servers are asked", ""},
		{"/etc/hosts", "localhost", ""},
		{"/etc/localtime", "without it the time is UTC", ""},
		{"/etc/ssl/certs", "certificates of https", ""},
		{"/tmp", "tempfile", fmt.Sprintf("mkdir -m 1777 %s, or private_tmp = true with that directory", filepath.Join(j.root, "tmp"))},
		{"/proc/self", "/dev/stderr, memory figures and some libraries", fmt.Sprintf("mount -t proc proc %s, if they are needed", filepath.Join(j.root, "proc"))},
	} {
		if !j.has(file.name) && !slices.ContainsFunc(j.findings, func(f ChrootFinding) bool { return f.Path == file.name }) {
			j.missing(false, file.name, file.why, file.remedy)
		}
	}
}
