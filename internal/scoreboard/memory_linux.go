package scoreboard

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func create(size int) (*os.File, error) {
	fd, err := unix.MemfdCreate("wsgid-scoreboard", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("create scoreboard: %w", err)
	}
	file := os.NewFile(uintptr(fd), "wsgid-scoreboard")
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		file.Close()
		return nil, fmt.Errorf("size scoreboard: %w", err)
	}
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		file.Close()
		return nil, fmt.Errorf("seal scoreboard: %w", err)
	}
	return file, nil
}

// mapFile maps the whole memfd. The mapping outlives the descriptor.
func mapFile(file *os.File, threads int, writable bool) ([]byte, error) {
	protection := unix.PROT_READ
	if writable {
		protection |= unix.PROT_WRITE
	}
	memory, err := unix.Mmap(int(file.Fd()), 0, Size(threads), protection, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map scoreboard: %w", err)
	}
	return memory, nil
}

func unmap(memory []byte) error { return unix.Munmap(memory) }
