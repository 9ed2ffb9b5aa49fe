package dispatch

import (
	"errors"
	"sync"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/pyshim"
)

// pythonHost is the ScriptHost of a real router: CPython in this process.
type pythonHost struct {
	host      *pyshim.Host
	scripts   []pyshim.ScriptRule
	stackSize int64

	mu      sync.Mutex
	serving bool // the first threads of applications were started
}

// StartPython loads Python into this process, once. modules, log and stacks are the
// descriptors fd.modules, fd.log and fd.stacks of the boot block.
func StartPython(embedded wire.Embedded, modules, log, stacks int) (ScriptHost, error) {
	host, err := pyshim.StartHost(pyshim.HostOptions{
		Python: embedded.Python, PythonHome: embedded.PythonHome, PythonPath: embedded.PythonPath,
		Variables: embedded.Variables, Interpreters: embedded.Interpreters,
		MaxInterpreters: embedded.MaxInterpreters, FreeThreading: embedded.FreeThreading,
		Threads: max(1, embedded.Threads), ModulesFD: modules, LogFD: log, StacksFD: stacks,
	})
	if err != nil {
		return nil, err
	}
	h := &pythonHost{host: host, stackSize: embedded.StackSize}
	for _, rule := range embedded.Scripts {
		h.scripts = append(h.scripts, pyshim.ScriptRule{Path: rule.Path, Directory: rule.Directory})
	}
	return h, nil
}

// Version of Python.
func (h *pythonHost) Version() string { return h.host.Version() }

// Probe takes and releases the lock of the main interpreter.
func (h *pythonHost) Probe() { h.host.Probe() }

// Stopping tells the subscribers of applications that the process ends.
func (h *pythonHost) Stopping() { h.host.Stopping() }

// Import imports a script into the interpreter of an application group.
func (h *pythonHost) Import(application, path string) { h.host.Import(application, path) }

// LoadErrors are the scripts of applications that cannot be imported.
func (h *pythonHost) LoadErrors() []wire.LoadError {
	var all []wire.LoadError
	for _, e := range h.host.LoadErrors() {
		all = append(all, wire.LoadError(e))
	}
	return all
}

// ServeEmbedded starts the threads of applications, and later more of them in
// the place of lost ones. There is one router, so that no other process serves
// applications.
func (h *pythonHost) ServeEmbedded(n int) ([]int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.serving {
		return h.host.AddEmbedded(n)
	}
	fds, err := h.host.ServeEmbedded(pyshim.EmbeddedOptions{Threads: n, Scripts: h.scripts, StackSize: h.stackSize})
	h.serving = err == nil
	return fds, err
}

// callOf gives the state of a call inside pyshim. Whoever comes first, Dispatch
// or Interrupt, makes it, so that an early interrupt is not lost.
func callOf(c *ScriptCall) *pyshim.Call {
	c.Handle.CompareAndSwap(nil, &pyshim.Call{})
	call, _ := c.Handle.Load().(*pyshim.Call) // nothing else is ever stored
	return call
}

// Evaluate asks a script.
func (h *pythonHost) Evaluate(c *ScriptCall) (ScriptAnswer, error) {
	call := callOf(c)
	call.Script, call.ApplicationGroup, call.Params = c.Script, c.ApplicationGroup, c.Params
	call.RequestID, call.ErrorLog, call.Trace, call.Check, call.KeepLastGood = c.RequestID, c.ErrorLog, c.Trace, c.Check, c.KeepLastGood
	if question, ok := questions[c.Kind]; ok {
		a, err := h.host.Ask(call, pyshim.Question{Kind: question, First: c.First, Second: c.Second})
		if err != nil {
			return ScriptAnswer{}, scriptError(err)
		}
		return ScriptAnswer{Verdict: verdicts[a.Verdict], Text: a.Text, Groups: a.Groups, LoadError: a.LoadError}, nil
	}
	d, err := h.host.Dispatch(call)
	if err != nil {
		return ScriptAnswer{}, scriptError(err)
	}
	return ScriptAnswer{LoadError: d.LoadError, ScriptDecision: ScriptDecision{
		ProcessGroup: Override(d.ProcessGroup), ApplicationGroup: Override(d.ApplicationGroup),
		CallableObject: Override(d.CallableObject),
	}}, nil
}

// Interrupt raises an exception in a running call.
func (h *pythonHost) Interrupt(c *ScriptCall) { h.host.Interrupt(callOf(c)) }

var questions = map[ScriptKind]pyshim.QuestionKind{
	KindPassword:  pyshim.AskPassword,
	KindRealmHash: pyshim.AskRealmHash,
	KindGroups:    pyshim.AskGroups,
	KindAccess:    pyshim.AskAccess,
}

var verdicts = map[pyshim.Verdict]Verdict{
	pyshim.Granted: VerdictGranted,
	pyshim.Denied:  VerdictDenied,
	pyshim.Unknown: VerdictUnknown,
}

var scriptErrorKinds = map[pyshim.ErrorKind]ScriptErrorKind{
	pyshim.Load:        ScriptLoad,
	pyshim.Exception:   ScriptRaised,
	pyshim.Value:       ScriptValue,
	pyshim.Interrupted: ScriptInterrupted,
	pyshim.Interpreter: ScriptInterpreter,
	pyshim.Limit:       ScriptLimit,
}

// scriptError translates an error of pyshim.
func scriptError(err error) error {
	var e *pyshim.ScriptError
	if !errors.As(err, &e) {
		return err
	}
	return &ScriptError{
		Kind: scriptErrorKinds[e.Kind], Script: e.Script, Function: e.Function, Line: e.Line,
		Message: e.Message, Traceback: e.Traceback, Value: e.Value,
	}
}
