package tests

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestControlRoles: who may connect may look; admins by their user or by any of their
// groups may do everything, as the configuration says that runs; root always.
func TestControlRoles(t *testing.T) {
	harness.NeedRoot(t) // to become somebody else
	w := newWorld(t)
	w.App("hello.py")
	const operators, sysadmins, deploy = 64032, 64034, 64033
	configure := func(admins string) {
		t.Helper()
		w.Write("wsgid.hcl", w.Expand("listen \"unix\" {\n  path = \"{{.Socket}}\"\n}\ncontrol {\n  path = \"{{.Control}}\"\n  mode = \"0660\"\n  group = \"#64032\"\n  "+admins+"\n}\n"+
			"log {\n  format = \"json\"\n}\n"+group("web", "#64001", 1, 1)+mount("/", "apps/hello.py")))
	}
	const both = "admin_users = [\"#64033\"]\n  admin_groups = [\"#64034\"]"
	configure(both)
	d := w.Start(harness.Options{})
	looks := [][]string{{"status"}, {"status", "--full"}, {"requests"}, {"top", "--rounds", "1"}, {"healthcheck"}}
	powers := [][]string{{"stacks", "web"}, {"config", "--running"}, {"reload"}, {"restart", "web"}, {"scale", "web", "1"}, {"maintenance", "web", "off"}, {"interrupt", "x"}}
	type someone struct {
		name   string
		uid    int
		groups []uint32
	}
	may := func(s someone, verbs [][]string, want int, text string) {
		t.Helper()
		for _, verb := range verbs {
			code, out, errs := w.CLIIn(s.uid, s.groups, append([]string{verb[0], "--control", w.Control}, verb[1:]...)...)
			if verb[0] == "interrupt" && want == 0 {
				if !strings.Contains(errs, "no request") { // it was looked for
					t.Errorf("%s: %v: %d %s", s.name, verb, code, errs)
				}
			} else if code != want || !strings.Contains(errs, text) {
				t.Errorf("%s: %v: %d %s%s", s.name, verb, code, out, errs)
			}
		}
	}
	reader := someone{"a reader", 64036, []uint32{operators}}
	user := someone{"an admin", deploy, []uint32{operators}}
	member := someone{"one of an admin group", 64035, []uint32{64040, operators, sysadmins}}
	root := someone{"root", 0, nil}
	for _, s := range []someone{root, user, member} {
		may(s, looks, 0, "")
		may(s, powers, 0, "")
	}
	may(reader, looks, 0, "")
	may(reader, append(powers, []string{"stop"}), 1, "refused: uid 64036 may only look (its groups are 64036 64032); ")
	may(someone{"a stranger", 64037, nil}, looks, 3, "permission denied")
	d.Log.Await(t, "who was refused", harness.Containing("control request refused", `"uid":64036`, "/v1/stop"))

	configure("admin_users = [\"nobody-knows\"]")
	if code, _, errs := w.CLI("reload", "--control", w.Control); code != 1 || !strings.Contains(errs, "control: admin_users: look up user") || !strings.Contains(errs, "nobody-knows") {
		t.Errorf("%d: %s", code, errs)
	}
	may(member, powers[:2], 0, "")
	configure("admin_users = [\"#64033\"]")
	may(root, [][]string{{"reload"}}, 0, "")
	may(member, powers[:2], 1, "may only look")
	may(user, powers[:2], 0, "")
}
