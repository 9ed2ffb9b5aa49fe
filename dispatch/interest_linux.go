package dispatch

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// interest is what the runtime's poller is told about a socket.
//
// Go watches every socket for being writable as well as for being readable,
// and so the router is woken each time a peer has taken from a socket what was
// sent to it, twice a request and for nothing: a write has hardly ever to
// wait. Go has no way to say so, but the kernel shows in /proc what a poller
// watches, and lets us leave the one event out and ask for it when a write
// does wait. Where the entry is not found all stays as the runtime has it.
type interest struct {
	poller int                // epoll descriptor of the runtime; 0: leave alone
	event  syscall.EpollEvent // as the runtime has set it
	asked  bool               // a write waits: EPOLLOUT is on
}

// runtimePoller is the runtime's epoll descriptor once one connection has
// found it; 0 before.
var runtimePoller atomic.Int64

// quiet leaves writability of fd out. It reads a line for each socket of the
// process, so it is for connections that stay.
func (i *interest) quiet(fd uintptr) {
	poller := int(runtimePoller.Load())
	if poller == 0 {
		if poller = findPoller(fd); poller == 0 {
			return
		}
		runtimePoller.Store(int64(poller))
	}
	event, ok := watched(strconv.Itoa(poller), fd)
	if !ok || event.Events&syscall.EPOLLOUT == 0 {
		return
	}
	i.poller, i.event = poller, event
	if i.ask(fd, false) != 0 {
		i.poller = 0
	}
}

// ask turns the event on or off. The kernel looks at once whether it is due.
func (i *interest) ask(fd uintptr, on bool) syscall.Errno {
	event := i.event
	if !on {
		event.Events &^= syscall.EPOLLOUT
	}
	i.asked = on
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(i.poller), syscall.EPOLL_CTL_MOD, fd,
		uintptr(unsafe.Pointer(&event)), 0, 0)
	return errno
}

// findPoller returns the epoll descriptor that watches fd, or 0.
func findPoller(fd uintptr) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if link, err := os.Readlink("/proc/self/fd/" + e.Name()); err != nil || link != "anon_inode:[eventpoll]" {
			continue
		}
		if _, ok := watched(e.Name(), fd); ok {
			n, _ := strconv.Atoi(e.Name())
			return n
		}
	}
	return 0
}

// watched returns what an epoll descriptor says about fd (proc(5), fdinfo).
func watched(poller string, fd uintptr) (event syscall.EpollEvent, ok bool) {
	text, err := os.ReadFile("/proc/self/fdinfo/" + poller)
	if err != nil {
		return event, false
	}
	entry := fmt.Appendf(nil, "tfd: %8d events: ", fd)
	_, line, ok := bytes.Cut(text, entry)
	if !ok || bytes.Contains(line, entry) { // twice: one is of another socket that had the number
		return event, false
	}
	var data uint64
	if _, err := fmt.Sscanf(string(line[:min(len(line), 64)]), "%x data: %x", &event.Events, &data); err != nil {
		return event, false
	}
	*(*[8]byte)(unsafe.Pointer(&event.Fd)) = *(*[8]byte)(unsafe.Pointer(&data))
	return event, true
}
