package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// writePage writes the tables with all that is needed to judge and repeat them.
func writePage(path, wsgid string, args []string, tables string) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, `# Benchmarks

Written on %s by

    %s

Behind the same Apache (event MPM, two processes of 80 threads, kept connections,
iobuffersize=65528 for all that mod_proxy serves) on the same
application file, %d processes of %d threads each; wsgid's embedded mode has %d threads in the
router. Rounds of all servers are interleaved; a figure is the median of its rounds, a ratio the
median of the quotients of each round. CPU is user + system time of all server processes, Apache's
included and the load generator's not, read from the processes' CPU clocks (whole nanoseconds, ended
threads included). The load generator is one thread of a process of its own on the same machine, so
requests/s of a fast server are also a matter of what is left to the generator. The floor runs no application and
says what Apache and a FastCGI connection cost by themselves.

One round moves by up to 20 %% at one connection, where the placement of three processes on the
cores decides; differences under 5 %% mean nothing.

`, time.Now().Format("2 January 2006"), strings.Join(args, " "), processes, threads, processes*threads)
	fmt.Fprintln(&out, "| | |\n| --- | --- |")
	for _, fact := range facts(wsgid) {
		fmt.Fprintf(&out, "| %s | %s |\n", fact[0], fact[1])
	}
	fmt.Fprintf(&out, "\n%s", tables)
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// facts about the machine and the versions of everything.
func facts(wsgid string) [][2]string {
	return [][2]string{
		{"cores", fmt.Sprintf("%d, %s", runtime.NumCPU(), cpuModel())},
		{"kernel", firstLine("uname", "-sr")},
		{"system", osName()},
		{"wsgid", firstLine(wsgid, "version")},
		{"Python", firstLine("python3", "--version")},
		{"Apache", packageVersion("apache2-bin")},
		{"mod_wsgi", packageVersion("libapache2-mod-wsgi-py3")},
		{"uWSGI", packageVersion("uwsgi-core")},
		{"gunicorn", packageVersion("gunicorn")},
		{"gcc", packageVersion("gcc")},
		{"Go", runtime.Version()},
	}
}

func firstLine(argv ...string) string {
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		return "–"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

func packageVersion(name string) string {
	return firstLine("dpkg-query", "-W", "-f", "${Version}", name)
}

func cpuModel() string {
	return match("/proc/cpuinfo", `(?m)^model name\s*: (.*)$`)
}

func osName() string {
	return match("/etc/os-release", `(?m)^PRETTY_NAME="(.*)"$`)
}

func match(path, pattern string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "–"
	}
	if m := regexp.MustCompile(pattern).FindSubmatch(b); m != nil {
		return string(m[1])
	}
	return "–"
}
