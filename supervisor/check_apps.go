package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/boot"
	"github.com/wsgid/wsgid/internal/escape"
)

// maxReport bounds the packet with an application's report.
const maxReport = 1 << 20

// maxOutput bounds what is kept of an application's output while it is imported.
const maxOutput = 100

// AppReport is what importing one application in a throw-away process gave. It
// is the application's own word: its text is escaped, and nothing more.
type AppReport struct {
	Script           string `json:"script"`
	ProcessGroup     string `json:"process_group"` // "%{GLOBAL}": embedded
	ApplicationGroup string `json:"application_group"`
	CallableObject   string `json:"callable_object,omitempty"` // empty: a script that is only imported
	User             string `json:"user"`
	UID              int    `json:"uid"`

	// Python version, its prefix and library; empty when it did not start.
	Python     string   `json:"python,omitempty"`
	Prefix     string   `json:"prefix,omitempty"`
	Library    string   `json:"library,omitempty"`
	Executable string   `json:"executable,omitempty"`
	Path       []string `json:"path,omitempty"` // sys.path

	Seconds       float64 `json:"seconds"`        // of the import
	ResidentBytes uint64  `json:"resident_bytes"` // of the process afterwards
	GrownBytes    uint64  `json:"grown_bytes"`    // by the import

	// Error is empty when the application can be served; Hints say what is
	// probably wrong, Warnings what looks wrong although it works.
	Error    string   `json:"error,omitempty"`
	Hints    []string `json:"hints,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// Output is what it wrote meanwhile, a line each.
	Output []string `json:"output,omitempty"`
}

// CheckApps imports every application of the configuration whose process group
// and application group are fixed, the import scripts that are no services, and
// the router's scripts, each in a process of its own that runs as the group's
// user with the group's Python, environment and limits, and ends with the
// import. done is called with each report. The configuration must be one that
// New takes.
func CheckApps(ctx context.Context, cfg *config.Config, options Options, done func(*AppReport)) error {
	s, err := New(cfg, options)
	if err != nil {
		return err
	}
	end, err := s.prepareLauncher()
	if err != nil {
		return err
	}
	defer end()
	for _, app := range s.checkedApps() {
		if err := ctx.Err(); err != nil {
			return err
		}
		report, err := app.check(ctx, s)
		if err != nil {
			return err
		}
		done(report)
	}
	return nil
}

// prepareLauncher makes children possible without Run; end is for when none is
// left.
func (s *Supervisor) prepareLauncher() (end func(), err error) {
	keepDescriptors()
	if s.launcher.modules, err = boot.SealedFile("wsgid-modules", s.options.Modules); err != nil {
		return nil, err
	}
	if s.launcher.reaper, err = newReaper(hclog.NewNullLogger()); err != nil {
		s.launcher.modules.Close()
		return nil, err
	}
	s.launcher.spawner = newSpawner()
	return func() {
		s.pumps.close()
		s.launcher.spawner.close()
		s.launcher.reaper.close()
		s.launcher.modules.Close()
	}, nil
}

// checkedApp is one script to import.
type checkedApp struct {
	group                         *group
	embedded                      bool
	application, callable, script string
}

// checkedApps lists what can be imported without a request, each once.
func (s *Supervisor) checkedApps() []checkedApp {
	embedded := s.embeddedAsGroup(s.current.plan.router)
	var apps []checkedApp
	seen := map[checkedApp]bool{}
	add := func(app checkedApp) {
		if !seen[app] {
			seen[app] = true
			apps = append(apps, app)
		}
	}
	for _, mount := range s.current.config.Mounts() {
		application, fixed := config.FixedApplication(mount.ApplicationGroup)
		if !fixed || mount.Directory || strings.Contains(mount.CallableObject, "%{") {
			continue
		}
		app := checkedApp{application: application, callable: mount.CallableObject, script: mount.Target}
		if mount.ProcessGroup == global {
			app.group, app.embedded = embedded, true
			add(app)
		}
		for _, g := range s.current.groups {
			if g.config.Name == mount.ProcessGroup {
				app.group = g
				add(app)
			}
		}
	}
	for _, script := range s.current.config.ImportScripts {
		application, _ := config.FixedApplication(script.ApplicationGroup)
		app := checkedApp{application: application, script: script.Path}
		if script.ProcessGroup == global {
			app.group, app.embedded = embedded, true
			add(app)
		}
		for _, g := range s.current.groups { // a service's script is not imported, it runs
			if g.config.Name == script.ProcessGroup && !g.config.Service() {
				app.group = g
				add(app)
			}
		}
	}
	scripts := slices.Clone(s.current.plan.wire.DispatchScripts)
	for _, a := range s.current.plan.wire.AuthScripts {
		scripts = append(scripts, a.Script)
	}
	evaluator := embedded
	if s.current.plan.helper != nil {
		evaluator = s.embeddedAsGroup(*s.current.plan.helper)
	}
	for _, script := range scripts {
		application, fixed := config.FixedApplication(script.ApplicationGroup)
		if !fixed {
			application = ""
		}
		add(checkedApp{group: evaluator, embedded: true, application: application, script: script.Path})
	}
	return apps
}

// embeddedAsGroup is a group that has the router's Python, and runs as the
// router or the dispatch helper does.
func (s *Supervisor) embeddedAsGroup(id identity) *group {
	r := &s.current.config.Router
	return &group{
		groupPlan: groupPlan{
			config: &config.DaemonProcess{
				Name: global, Threads: 1, Umask: 0o022, Lang: "C.UTF-8", NoNewPrivileges: true,
				StartupTimeout: time.Minute, PythonOptions: r.PythonOptions,
			},
			identity: id, scripts: ownership{-1, -1},
			interpreters: interpretersOf(s.current.config, global, &r.PythonOptions),
		},
		router: s.current.plan.router, launcher: s.launcher,
	}
}

// check imports the script in a process of its own.
func (a checkedApp) check(ctx context.Context, s *Supervisor) (*AppReport, error) {
	g := a.group
	report := &AppReport{
		Script: a.script, ProcessGroup: g.config.Name, ApplicationGroup: orGlobal(a.application), CallableObject: a.callable,
		User: g.identity.User, UID: g.identity.UID,
	}
	spec, err := g.launch(nil, false)
	if err != nil { // env_file
		report.Error = err.Error()
		return report, nil
	}
	script, ok := g.config.Inside(a.script)
	if !ok {
		report.Error = "the script lies outside of chroot " + g.config.Chroot
		return report, nil
	}
	spec.block.Set("check", a.application+"\t"+a.callable+"\t"+script)
	// A worker listens on descriptor 0; this one finds a socket there that nobody can reach.
	nobody, listen, err := socketPair(unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	defer nobody.Close()
	defer listen.Close()
	channel, childChannel, err := socketPair(unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, err
	}
	defer channel.Close()
	defer childChannel.Close()
	spec.stdin = listen
	spec.files = []named{{"fd.status", childChannel}}
	c, err := s.launcher.start(spec)
	if err != nil {
		return nil, err
	}
	childChannel.Close()
	output := &appOutput{}
	pump := startLogPump(c.raw, c.records, &lineJoiner{emit: func(text string, _ bool) { output.add(text) }}, output.record)
	s.pumps.add(pump)
	go c.wait(s.launcher.reaper)
	report.await(ctx, c, channel, g.config.StartupTimeout)
	pump.drain()
	report.Output = output.take()
	return report, ctx.Err()
}

// await reads events until the report is there or the process has gone, and
// ends the process.
func (r *AppReport) await(ctx context.Context, c *child, channel *os.File, limit time.Duration) {
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	if limit > 0 {
		timer := time.AfterFunc(limit, c.kill)
		defer timer.Stop()
	}
	started := time.Now()
	reported, failed := false, false
	buf := make([]byte, maxReport)
	for {
		n, err := channel.Read(buf)
		if err != nil {
			break
		}
		event := parseEvent(string(buf[:n]))
		switch event["event"] {
		case "started":
			r.Python, r.Prefix, r.Library = escape.Line(event["python"]), escape.Line(event["prefix"]), escape.Line(event["library"])
		case "failed":
			failed = true
			r.Error = escape.Text(event["error"])
		case "application":
			reported = r.take(event["report"])
		}
	}
	<-c.exited
	switch {
	case reported || failed:
	case c.wasKilled() && limit > 0 && time.Since(started) >= limit:
		r.Error = fmt.Sprintf("not imported within startup_timeout (%s)", limit)
	case c.state == nil:
		r.Error = "the process was lost while importing"
	default:
		r.Error = "the process ended while importing: " + c.state.String()
	}
}

// take reads the report of the process. False: it is none.
func (r *AppReport) take(text string) bool {
	var said struct {
		Seconds    float64  `json:"seconds"`
		Resident   uint64   `json:"resident_bytes"`
		Grown      uint64   `json:"grown_bytes"`
		Executable string   `json:"executable"`
		Path       []string `json:"path"`
		Error      *string  `json:"error"`
		Hints      []string `json:"hints"`
		Warnings   []string `json:"warnings"`
	}
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		r.Error = "the process sent a report that cannot be read"
		return true
	}
	r.Seconds, r.ResidentBytes, r.GrownBytes = said.Seconds, said.Resident, said.Grown
	r.Executable = escape.Line(said.Executable)
	r.Path, r.Hints, r.Warnings = escapeAll(said.Path), escapeAll(said.Hints), escapeAll(said.Warnings)
	if said.Error != nil {
		r.Error = escape.Text(strings.TrimRight(*said.Error, "\n"))
	}
	return true
}

func escapeAll(texts []string) []string {
	for i := range texts {
		texts[i] = escape.Line(texts[i])
	}
	return texts
}

func orGlobal(application string) string {
	if application == "" {
		return global
	}
	return application
}

// appOutput collects the output of an application; two pumps write to it.
type appOutput struct {
	mu    sync.Mutex
	lines []string
	more  int
}

func (o *appOutput) add(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for line := range strings.Lines(text) {
		if len(o.lines) == maxOutput {
			o.more++
			continue
		}
		o.lines = append(o.lines, escape.Line(strings.TrimRight(line, "\r\n")))
	}
}

// record takes a record of the log channel; what wsgid itself logs is in the report.
func (o *appOutput) record(values map[string]string, message string) {
	if values["source"] != ownSource && values["source"] != "" {
		o.add(message)
	}
}

func (o *appOutput) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more > 0 {
		return append(o.lines, fmt.Sprintf("… and %d more lines", o.more))
	}
	return o.lines
}
