package status

// Stacks is where the threads of one process are. The group of the router is
// "%{GLOBAL}", and the dispatch helper has none.
type Stacks struct {
	Group string `json:"group"`
	PID   int    `json:"pid"`
	// Answered says that the process has told its Python stacks.
	Answered bool `json:"answered"`
	// BySignal: each thread of it is interrupted to write its stack, without anything
	// being wrong, as in services, the router and the dispatch helper.
	BySignal bool     `json:"by_signal,omitempty"`
	Threads  []Thread `json:"threads"`
}

// Thread is one thread of a process.
type Thread struct {
	TID  int    `json:"tid"`
	Name string `json:"name,omitempty"` // as Python calls it, else the kernel
	// State is that of the kernel: running, sleeping, disk, stopped, …; Wait is where in
	// the kernel it sleeps, where that can be seen.
	State string `json:"state"`
	Wait  string `json:"wait,omitempty"`
	// CPUSeconds that it has used.
	CPUSeconds float64 `json:"cpu_seconds"`
	// Request that it serves.
	Request *Request `json:"request,omitempty"`
	// Application group of the stack; empty is the main interpreter, or not known.
	Application string `json:"application,omitempty"`
	// Stack in Python, empty where it runs none. Interrupted: a GIL was held, and
	// the thread has written it itself, the newest call first.
	Stack       string `json:"stack,omitempty"`
	Interrupted bool   `json:"interrupted,omitempty"`
}

// Outcomes of an interrupt.
const (
	Interrupted      = "interrupted" // RequestTimeout is raised in the request
	InterruptPending = "pending"     // the process waits for the GIL, to do so then
)

// Interrupt is what became of wsgid interrupt.
type Interrupt struct {
	Group   string  `json:"group"`
	PID     int     `json:"pid"`
	Request Request `json:"request"`
	Outcome string  `json:"outcome"`
}
