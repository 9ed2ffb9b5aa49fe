package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// memory is what the processes of a peer behind Apache hold after the load.
type memory struct {
	processes int
	pss       float64 // MiB, shared pages divided among those who share them
	worker    float64 // MiB of its own of a worker, the median; 0: there is none
	manager   float64 // MiB of its own of all that are no workers
}

// weigh looks at the processes behind Apache. Workers are those that run the
// application: not the one that started them, and not wsgid's router.
func (b *bed) weigh(p peer) (memory, error) {
	_, back, err := b.servers(p)
	if err != nil {
		return memory{}, err
	}
	var m memory
	var workers []float64
	for _, pid := range back {
		pss, private, err := footprint(pid)
		if err != nil {
			return memory{}, err
		}
		m.processes++
		m.pss += pss
		if p.backend != "" && pid == b.backends[p.backend].pid() || comm(pid) == "wsgid:router" {
			m.manager += private
		} else {
			workers = append(workers, private)
		}
	}
	m.worker, _ = median(workers)
	return m, nil
}

// footprint reads smaps_rollup (proc(5)), MiB.
func footprint(pid int) (pss, private float64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read what process %d holds: %w", pid, err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 {
			continue
		}
		kib, _ := strconv.ParseFloat(fields[1], 64) // 0 for the line of addresses
		switch fields[0] {
		case "Pss:":
			pss = kib / 1024
		case "Private_Clean:", "Private_Dirty:":
			private += kib / 1024
		}
	}
	return pss, private, nil
}

// comm is the name of a process's main thread; empty when it has ended.
func comm(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// writeMemory writes the table of what the peers hold.
func writeMemory(out io.Writer, held map[string]memory, chosen []peer) {
	fmt.Fprint(out, "## Memory after all that\n\n"+
		"| server | MiB of its own of a worker | of supervisor, master, router | processes behind Apache | their Pss, MiB |\n"+
		"| --- | ---: | ---: | ---: | ---: |\n")
	mib := func(v float64) string {
		if v == 0 {
			return "–"
		}
		return fmt.Sprintf("%.1f", v)
	}
	for _, p := range chosen {
		if m, ok := held[p.name]; ok {
			fmt.Fprintf(out, "| %s | %s | %s | %d | %s |\n", p.title, mib(m.worker), mib(m.manager), m.processes, mib(m.pss))
		}
	}
	fmt.Fprintln(out)
}
