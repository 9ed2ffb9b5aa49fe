package supervisor

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wsgid/wsgid/config"
)

func TestInterpreters(t *testing.T) {
	yes, no := true, false
	cfg := &config.Config{InterpreterBlocks: []config.InterpreterBlock{
		{ProcessGroup: "web", ApplicationGroup: "shop", PythonPath: []string{"/both"},
			InterpreterOptions: config.InterpreterOptions{RestrictSignal: &no}},
		{PythonPath: []string{"/all"}, InterpreterOptions: config.InterpreterOptions{
			RestrictStdin: &yes, RestrictStdout: &yes, SwitchInterval: time.Second, FreeThreading: &yes}},
		{ApplicationGroup: "shop", InterpreterOptions: config.InterpreterOptions{PerInterpreterGIL: &yes, SwitchInterval: 20 * time.Millisecond}},
		{ProcessGroup: "web", PythonPath: []string{"/web"}, InterpreterOptions: config.InterpreterOptions{RestrictStdout: &no}},
		{ProcessGroup: "other", InterpreterOptions: config.InterpreterOptions{RestrictSignal: &no}},
		{ApplicationGroup: "%{GLOBAL}", InterpreterOptions: config.InterpreterOptions{RestrictStdin: &no}},
	}}
	own := &config.PythonOptions{PythonPath: []string{"/own1", "/own2"},
		InterpreterOptions: config.InterpreterOptions{RestrictStdout: &yes, FreeThreading: &no}}
	want := interpreters{
		settings: []string{
			"*\trestrict_stdin\t1", "*\trestrict_stdout\t0", "*\tswitch_interval\t1",
			"=shop\town_gil\t1", "=shop\trestrict_stdin\t1", "=shop\trestrict_stdout\t0", "=shop\trestrict_signal\t0",
			"=shop\tswitch_interval\t0.02",
			"=shop\tpython_path\t/both", "=shop\tpython_path\t/web", "=shop\tpython_path\t/own1",
			"=shop\tpython_path\t/own2", "=shop\tpython_path\t/all",
			"=\trestrict_stdin\t0", "=\trestrict_stdout\t0", "=\tswitch_interval\t1",
		},
		pythonPath: []string{"/web", "/own1", "/own2", "/all"},
	}
	if diff := cmp.Diff(want, interpretersOf(cfg, "web", own), cmp.AllowUnexported(interpreters{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := interpretersOf(&config.Config{}, "web", &config.PythonOptions{}); got.settings != nil || got.pythonPath != nil || got.freeThreading {
		t.Errorf("nothing said gives %v", got)
	}
	if got := interpretersOf(&config.Config{Router: config.Router{FoldCase: true}}, "web", &config.PythonOptions{}); !slices.Equal(got.settings, []string{"*\tfold_case\t1"}) {
		t.Errorf("case_sensitivity = false gives %q", got.settings)
	}
	if got := interpretersOf(cfg, "other", &config.PythonOptions{}); !got.freeThreading {
		t.Error("free_threading of a block for all is not there")
	}
}

func TestPythonOptions(t *testing.T) {
	p := &config.PythonOptions{PythonOptimize: 2, PythonDontWriteBytecode: true, PythonHashSeed: "5",
		PythonWarnings: []string{"error", "ignore::UserWarning"}}
	if diff := cmp.Diff([]string{"-OO", "-B", "-W", "error", "-W", "ignore::UserWarning"}, pythonArguments(p)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"PYTHONHASHSEED=5"}, pythonVariables(p)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"PYTHONHASHSEED=5", "PYTHONOPTIMIZE=2", "PYTHONDONTWRITEBYTECODE=1",
		"PYTHONWARNINGS=error,ignore::UserWarning"}, embeddedVariables(p)); diff != "" {
		t.Error(diff)
	}
	if pythonArguments(&config.PythonOptions{}) != nil || embeddedVariables(&config.PythonOptions{}) != nil {
		t.Error("nothing said gives something")
	}
}
