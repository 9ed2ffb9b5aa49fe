package harness

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Process is what /proc says about one process.
type Process struct {
	PID, Parent, Group, Session int
	// State is the letter of proc(5): Z is a zombie.
	State string
	// Executable is the target of /proc/PID/exe, empty when it cannot be read.
	Executable string
	Command    string
	UID        int
}

func (p Process) String() string {
	return fmt.Sprintf("pid %d parent %d session %d state %s uid %d exe %s: %s",
		p.PID, p.Parent, p.Session, p.State, p.UID, p.Executable, p.Command)
}

// Processes lists every process of the machine.
func Processes() []Process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []Process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if process, ok := readProcess(pid); ok {
			all = append(all, process)
		}
	}
	return all
}

// Alive tells whether a process runs (a zombie does not).
func Alive(pid int) bool {
	process, ok := readProcess(pid)
	return ok && process.State != "Z" && process.State != "X"
}

func readProcess(pid int) (Process, bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Process{}, false
	}
	// The command name in parentheses may itself contain spaces and parentheses.
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 4 {
		return Process{}, false
	}
	process := Process{PID: pid, State: fields[0], UID: -1}
	process.Parent, _ = strconv.Atoi(fields[1])
	process.Group, _ = strconv.Atoi(fields[2])
	process.Session, _ = strconv.Atoi(fields[3])
	process.Executable, _ = os.Readlink(dir + "/exe")
	command, _ := os.ReadFile(dir + "/cmdline")
	process.Command = strings.ReplaceAll(strings.TrimRight(string(command), "\x00"), "\x00", " ")
	process.UID = statusField(pid, "Uid:")
	return process, true
}

// statusField reads the first number of a line of /proc/PID/status; -1 when absent.
func statusField(pid int, name string) int {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return -1
	}
	for _, line := range strings.Split(string(content), "\n") {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if fields := strings.Fields(rest); len(fields) > 0 {
				if number, err := strconv.Atoi(fields[0]); err == nil {
					return number
				}
			}
		}
	}
	return -1
}

// UID is the real user id of a process, -1 when it is gone.
func UID(pid int) int { return statusField(pid, "Uid:") }

// Descriptors counts the open descriptors of a process.
func Descriptors(pid int) int {
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	if err != nil {
		return -1
	}
	return len(entries)
}

// DescriptorTargets lists what the descriptors of a process are, for a failure report.
func DescriptorTargets(pid int) []string {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var targets []string
	for _, entry := range entries {
		if target, err := os.Readlink(dir + "/" + entry.Name()); err == nil {
			targets = append(targets, entry.Name()+" → "+target)
		}
	}
	return targets
}
