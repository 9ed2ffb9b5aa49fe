package systemd

import (
	"os"

	"github.com/coreos/go-systemd/v22/activation"
)

// Sockets are those that systemd has opened for this process (sd_listen_fds), with the
// names that their units have given them. It is called once.
func Sockets() []*os.File { return activation.Files(true) }
