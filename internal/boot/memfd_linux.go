package boot

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// seals of a block: nobody can change it or unseal it again, which is the
// proof that the supervisor wrote it.
const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// SealedFile puts data into a new memfd, sealed against every change,
// close-on-exec, at offset 0. The caller closes it.
func SealedFile(name string, data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("create memfd %s: %w", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err := file.WriteAt(data, 0); err != nil {
		file.Close()
		return nil, fmt.Errorf("write memfd %s: %w", name, err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		file.Close()
		return nil, fmt.Errorf("seal memfd %s: %w", name, err)
	}
	return file, nil
}

// Sealed says whether fd is a memfd with all seals of SealedFile.
func Sealed(fd uintptr) bool {
	got, err := unix.FcntlInt(fd, unix.F_GET_SEALS, 0)
	return err == nil && got&seals == seals
}

// Reopen opens a memfd a second time, read-only and with an offset of its own:
// children that read the same file would else share one offset.
func Reopen(file *os.File) (*os.File, error) {
	again, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", file.Fd()))
	if err != nil {
		return nil, fmt.Errorf("reopen memfd %s: %w", file.Name(), err)
	}
	return again, nil
}
