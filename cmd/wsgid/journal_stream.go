package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// connectedToJournal says whether the service manager has connected standard error to
// the journal: stream, its JOURNAL_STREAM, names device and inode then.
func connectedToJournal(stream string, stderr *os.File) bool {
	var stat unix.Stat_t
	if stream == "" || unix.Fstat(int(stderr.Fd()), &stat) != nil {
		return false
	}
	return stream == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}
