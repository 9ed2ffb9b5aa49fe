package supervisor

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/boot"
)

// powers are what this process could do for the sandbox of a group.
type powers struct {
	capabilities uint64
	landlock     bool // the kernel has it, switched on
}

// currentPowers asks the kernel.
func currentPowers() powers {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return powers{capabilities: effectiveCapabilities(), landlock: errno == 0 && version >= 1}
}

// effectiveCapabilities are those of this process; all when nobody tells: the
// child will then say what fails.
func effectiveCapabilities() uint64 {
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return ^uint64(0)
	}
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, "CapEff:"); ok {
			if set, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64); err == nil {
				return set
			}
		}
	}
	return ^uint64(0)
}

func (p powers) has(capability uint) bool { return p.capabilities&(1<<capability) != 0 }

// refuse says what of the sandbox of a group is impossible here; nil: nothing.
func (p powers) refuse(s *config.Sandbox) error {
	needs := func(option, capability string) error {
		return fmt.Errorf("%s needs the capability %s, which wsgid was not given here: add it (in a container: --cap-add %s), or take the option out",
			option, capability, strings.TrimPrefix(capability, "CAP_"))
	}
	switch {
	case s.Chroot != "" && !p.has(unix.CAP_SYS_CHROOT):
		return needs("chroot", "CAP_SYS_CHROOT")
	case s.Mounts() != "" && !p.has(unix.CAP_SYS_ADMIN):
		return needs(s.Mounts(), "CAP_SYS_ADMIN")
	case s.OOMScoreAdjust != nil && *s.OOMScoreAdjust < 0 && !p.has(unix.CAP_SYS_RESOURCE):
		return needs("oom_score_adjust below 0", "CAP_SYS_RESOURCE")
	case s.Landlock != nil && !s.Landlock.BestEffort && !p.landlock:
		return errors.New("landlock: this kernel does not have it, or it is not switched on: it takes Linux 5.13 or later with landlock in lsm=; or write best_effort = true, or take the block out")
	}
	if s.Chroot == "" {
		return nil
	}
	info, err := os.Stat(s.Chroot)
	switch {
	case err != nil:
		return fmt.Errorf("chroot: %w", err)
	case !info.IsDir():
		return fmt.Errorf("chroot: %s is no directory", s.Chroot)
	}
	return nil
}

// unprotected says whether the group would run without the Landlock that it
// wants: best_effort, on a kernel that does not have it.
func (p powers) unprotected(s *config.Sandbox) bool { return s.Landlock != nil && !p.landlock }

// setSandbox adds what the C side is to do (docs/internals.md section 1).
func setSandbox(b *boot.Block, s *config.Sandbox) {
	b.SetOptional("chroot", s.Chroot)
	if s.PrivateTmp {
		b.SetInt("private_tmp", s.PrivateTmpSize)
	}
	b.SetList("read_only_path", s.ReadOnlyPaths)
	b.SetList("read_write_path", s.ReadWritePaths)
	b.SetList("inaccessible_path", s.InaccessiblePaths)
	if s.OOMScoreAdjust != nil {
		b.SetInt("oom_score_adjust", int64(*s.OOMScoreAdjust))
	}
	if l := s.Landlock; l != nil {
		if l.BestEffort {
			b.Set("landlock", "best_effort")
		} else {
			b.Set("landlock", "required")
		}
		b.SetList("landlock.read", l.Read)
		b.SetList("landlock.write", l.Write)
		b.SetList("landlock.execute", l.Execute)
	}
}

// insideAll are those of the paths that a group can see, as it calls them.
func insideAll(s *config.Sandbox, paths []string) []string {
	var seen []string
	for _, path := range paths {
		if inside, ok := s.Inside(path); ok {
			seen = append(seen, inside)
		}
	}
	return seen
}

// shutIn turns the plan of a group with a root directory of its own into the
// paths that its processes see.
func (g *groupPlan) shutIn() {
	s := &g.config.Sandbox
	if s.Chroot == "" {
		return
	}
	g.rules = scriptTable{files: insideAll(s, g.rules.files), directories: insideAll(s, g.rules.directories)}
	var preloads []config.Preload
	for _, p := range g.preloads {
		if inside, ok := s.Inside(p.Path); ok {
			p.Path = inside
			preloads = append(preloads, p)
		}
	}
	g.preloads = preloads
}
