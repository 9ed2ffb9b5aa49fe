package config

import (
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// defaultPrivateTmpSize: room for uploads that are spooled, and not so much that
// a process that fills it takes the machine's memory.
const defaultPrivateTmpSize = 256 * mib

// Sandbox is what the processes of a group may see and touch of the machine.
// Its paths are as these processes see them, below Chroot; "-" before a path
// says that it need not exist.
type Sandbox struct {
	// Chroot is their root directory; empty: the machine's.
	Chroot string
	// PrivateTmp: each process has a /tmp and a /var/tmp of its own, of at most
	// PrivateTmpSize bytes each, default 256 MiB; 0 without PrivateTmp.
	PrivateTmp     bool
	PrivateTmpSize int64
	// ReadOnlyPaths can be read but not changed, with all below but
	// ReadWritePaths; InaccessiblePaths can be neither.
	ReadOnlyPaths, ReadWritePaths, InaccessiblePaths []string
	// OOMScoreAdjust is added to the score by which the kernel chooses whom to
	// kill; nil: that of wsgid.
	OOMScoreAdjust *int
	// Landlock is the landlock block; nil: none.
	Landlock *Landlock
}

// Landlock is a landlock { … } block: everything that it does not name can
// neither be opened nor executed.
type Landlock struct {
	// Read: files may be read and directories listed. Write: the same, and
	// changed, made and removed. Execute: read and executed.
	Read, Write, Execute []string
	// BestEffort: a kernel without Landlock is put up with.
	BestEffort bool
}

// sandboxOptions are those of Sandbox.
func (d *decoder) sandboxOptions(s *Sandbox) options {
	return options{
		"chroot":             d.str(&s.Chroot),
		"private_tmp":        d.boolean(&s.PrivateTmp),
		"private_tmp_size":   d.size(&s.PrivateTmpSize, mib, 1024*gib),
		"read_only_paths":    d.list(&s.ReadOnlyPaths),
		"read_write_paths":   d.list(&s.ReadWritePaths),
		"inaccessible_paths": d.list(&s.InaccessiblePaths),
		"oom_score_adjust":   d.optionalInteger(&s.OOMScoreAdjust, -1000, 1000),
	}
}

// optionalInteger is integer for an option whose 0 is something else than its absence.
func (d *decoder) optionalInteger(to **int, low, high int) reader {
	return reader{func(a *hcl.Attribute) {
		if v, ok := d.value(a); ok {
			if n, ok := d.whole(a, v, int64(low), int64(high)); ok {
				number := int(n)
				*to = &number
			}
		}
	}, func() cty.Value { return showOptionalInteger(*to) }}
}

// landlockOptions are those of landlock inside daemon_process.
func (d *decoder) landlockOptions(l *Landlock) options {
	return options{
		"read":        d.list(&l.Read),
		"write":       d.list(&l.Write),
		"execute":     d.list(&l.Execute),
		"best_effort": d.boolean(&l.BestEffort),
	}
}

// decodeLandlock reads the landlock block of a daemon_process.
func (d *decoder) decodeLandlock(block *hclsyntax.Block, p *DaemonProcess) {
	for _, nested := range block.Body.Blocks {
		if nested.Type != "landlock" {
			continue
		}
		if len(nested.Labels) > 0 {
			d.add(nested.DefRange(), "Wrong block header", "A landlock block has no label: write landlock { … }.")
		}
		if p.Landlock != nil {
			d.add(nested.DefRange(), "Duplicate block", "There is one landlock block in a daemon_process; put the lists together.")
			continue
		}
		p.Landlock = &Landlock{}
		at := d.decodeBody("landlock", nested, d.landlockOptions(p.Landlock))
		if d.landlocks == nil {
			d.landlocks = map[hcl.Range]hcl.Range{}
		}
		d.landlocks[p.Range] = at
	}
}

// Inside is what the processes of the group call a file of the machine; ok is
// false when it lies outside of their root directory.
func (s *Sandbox) Inside(path string) (inside string, ok bool) {
	root := strings.TrimRight(s.Chroot, "/")
	if root == "" {
		return path, true
	}
	inside, ok = strings.CutPrefix(path, root)
	if !ok || inside != "" && inside[0] != '/' {
		return "", false
	}
	if inside == "" {
		inside = "/"
	}
	return inside, true
}

// Outside is where a file of theirs lies on the machine.
func (s *Sandbox) Outside(path string) string {
	if s.Chroot == "" {
		return path
	}
	return filepath.Join(s.Chroot, path)
}

// Mounts says whether the processes need a mount namespace, and for which
// option; empty: they do not.
func (s *Sandbox) Mounts() string {
	switch {
	case s.PrivateTmp:
		return "private_tmp"
	case len(s.ReadOnlyPaths) > 0:
		return "read_only_paths"
	case len(s.InaccessiblePaths) > 0:
		return "inaccessible_paths"
	case len(s.ReadWritePaths) > 0:
		return "read_write_paths"
	}
	return ""
}
