package dispatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wsgid/wsgid/protocol"
)

// fill gives everything below v a value, so that nothing can be left out.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.String:
		v.SetString("text\xe9")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Uint8:
		v.SetUint('x')
	default:
		panic("what is a " + v.Type().String())
	}
}

// TestHelperCodec: what goes in comes out, all of it.
func TestHelperCodec(t *testing.T) {
	call := new(ScriptCall)
	for field, value := range reflect.ValueOf(call).Elem().Fields() {
		if field.Name != "Handle" && field.Name != "Deadline" { // these stay where they are
			fill(value)
		}
	}
	call.Kind = KindDispatch
	frame := appendCall([]byte("used before"), call, 1500*time.Millisecond)
	if int(binary.BigEndian.Uint32(frame)) != len(frame)-frameHeader {
		t.Errorf("frame of %d bytes says %d", len(frame), binary.BigEndian.Uint32(frame))
	}
	got, left, probe, err := parseCall(frame[frameHeader:])
	if err != nil || left != 1500*time.Millisecond || probe {
		t.Fatal(left, probe, err)
	}
	if diff := cmp.Diff(call, got, cmpopts.IgnoreFields(ScriptCall{}, "Handle", "Deadline")); diff != "" {
		t.Error(diff)
	}
	if _, _, probe, err := parseCall(appendCall(nil, nil, 0)[frameHeader:]); err != nil || !probe {
		t.Error("a probe did not come through", err)
	}
	var full ScriptAnswer
	fill(reflect.ValueOf(&full).Elem())
	for _, answer := range []ScriptAnswer{{}, full, {ScriptDecision: ScriptDecision{ApplicationGroup: text("")}}} {
		got, err := parseAnswer(appendAnswer(nil, &answer, nil)[frameHeader:], "/etc/d.py")
		if diff := cmp.Diff(answer, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	want := &ScriptError{Kind: ScriptValue, Script: "/etc/d.py", Function: "process_group", Line: 7, Message: "wrong", Traceback: "Traceback", Value: "42"}
	_, err = parseAnswer(appendAnswer(nil, nil, want)[frameHeader:], "/etc/d.py")
	var e *ScriptError
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
}

// TestHelperCutsAnswers: texts without bounds become an answer that the router
// takes.
func TestHelperCutsAnswers(t *testing.T) {
	long := strings.Repeat("x", 2*maxAnswer)
	frame := appendAnswer(nil, &ScriptAnswer{ScriptDecision: ScriptDecision{ProcessGroup: text(long)}}, nil)
	_, err := parseAnswer(frame[frameHeader:], "/etc/d.py")
	var e *ScriptError
	if !errors.As(err, &e) || e.Kind != ScriptValue {
		t.Errorf("a decision of %d bytes: %v", len(long), err)
	}
	frame = appendAnswer(nil, nil, &ScriptError{Kind: ScriptRaised, Message: long, Traceback: long + "\nValueError: end", Value: long, Function: long})
	if len(frame) > maxAnswer {
		t.Errorf("an error of %d bytes", len(frame))
	}
	if _, err = parseAnswer(frame[frameHeader:], "/etc/d.py"); !errors.As(err, &e) || !strings.HasSuffix(e.Traceback, "\nValueError: end") {
		t.Error("the end of the traceback is missing")
	}
}

// hostileAnswers are frames that no helper of ours sends.
var hostileAnswers = map[string]string{
	"no pairs":        "\x00\x00\x00\x03abc",
	"unknown part":    string(endFrame(protocol.AppendPair(beginFrame(nil), "redirect", "x"))),
	"NUL in a group":  string(endFrame(protocol.AppendPair(beginFrame(nil), "process_group", "b\x00x"))),
	"unknown kind":    string(endFrame(protocol.AppendPair(beginFrame(nil), "error", "99"))),
	"kind of ours":    string(endFrame(protocol.AppendPair(beginFrame(nil), "error", fmt.Sprint(int(ScriptUnavailable))))),
	"negative kind":   string(endFrame(protocol.AppendPair(beginFrame(nil), "error", "-1"))),
	"line no number":  string(endFrame(protocol.AppendPair(protocol.AppendPair(beginFrame(nil), "error", "1"), "line", "x"))),
	"too long":        "\x7f\xff\xff\xff" + strings.Repeat("x", 1000),
	"length 4 GiB":    "\xff\xff\xff\xff",
	"two answers":     "\x00\x00\x00\x00\x00\x00\x00\x00",
	"pair too long":   "\x00\x00\x00\x06\x01\xff\xff\xff\xffa",
	"too many pairs":  string(endFrame(append(beginFrame(nil), strings.Repeat("\x05\x00group", 1<<16+1)...))),
	"no such verdict": string(endFrame(protocol.AppendPair(beginFrame(nil), "verdict", "4"))),
	"NUL in a name":   string(endFrame(protocol.AppendPair(beginFrame(nil), "text", "a\x00b"))),
}

// TestHelperServesOnlyTheRouter: others are turned away, and what is no call
// ends the connection.
func TestHelperServesOnlyTheRouter(t *testing.T) {
	h := &fakeHost{decide: func(map[string]string, *ScriptCall) (ScriptAnswer, error) { return ScriptAnswer{}, nil }}
	call := appendCall(nil, &ScriptCall{Script: "/etc/d.py"}, time.Minute)
	for _, row := range []struct {
		name, send string
		uid        int
		answered   bool
	}{
		{"router", string(call), os.Getuid(), true},
		{"somebody else", string(call), os.Getuid() + 1, false},
		{"no pairs", "\x00\x00\x00\x03abc", os.Getuid(), false},
		{"unknown part", string(endFrame(protocol.AppendPair(beginFrame(nil), "x", "y"))), os.Getuid(), false},
		{"kind is no number", string(endFrame(protocol.AppendPair(beginFrame(nil), "kind", "y"))), os.Getuid(), false},
		{"too long", "\xff\xff\xff\xff", os.Getuid(), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := filepath.Join(shortDir(t), "helper.sock")
			serveCalls(t, path, h, row.uid)
			c, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, row.send) // an error: it is closed already
			_, err = readFrame(c, make([]byte, 16), 0, maxAnswer)
			if row.answered != (err == nil) {
				t.Errorf("%v", err)
			}
		})
	}
}

// FuzzHelperAnswer: nothing that a helper sends breaks the router, and what is
// taken is a decision or an error that a script can cause.
func FuzzHelperAnswer(f *testing.F) {
	for _, frame := range hostileAnswers {
		if len(frame) < 4096 { // a large one is mutated for ever
			f.Add([]byte(frame))
		}
	}
	f.Add(appendAnswer(nil, &ScriptAnswer{LoadError: "x", ScriptDecision: ScriptDecision{ProcessGroup: text("b")}}, nil))
	f.Add(appendAnswer(nil, nil, &ScriptError{Kind: ScriptRaised, Message: "m", Line: 3}))
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := readFrame(strings.NewReader(string(data)), make([]byte, 16), 0, maxAnswer)
		if err != nil {
			return
		}
		a, err := parseAnswer(frame[frameHeader:], "/etc/d.py")
		var e *ScriptError
		switch {
		case err == nil:
			for _, o := range []Override{a.ProcessGroup, a.ApplicationGroup, a.CallableObject} {
				if strings.Contains(o.Value, "\x00") {
					t.Errorf("a decision with NUL: %+v", o)
				}
			}
			if len(data) <= maxAnswer/8 { // what is taken can be said again
				if again, err := parseAnswer(appendAnswer(nil, &a, nil)[frameHeader:], ""); err != nil || !reflect.DeepEqual(again, a) {
					t.Errorf("%+v became %+v, %v", a, again, err)
				}
			}
		case errors.As(err, &e):
			if e.Kind < 0 || e.Kind > ScriptLimit || e.Script != "/etc/d.py" {
				t.Errorf("an error that no script can cause: %+v", e)
			}
		case !errors.Is(err, errAnswer):
			t.Error(err)
		}
	})
}

// FuzzHelperCall: what the helper takes for a call can be said again.
func FuzzHelperCall(f *testing.F) {
	f.Add(appendCall(nil, &ScriptCall{Script: "/etc/d.py", Params: pairsOf("A", "1"), Check: true}, time.Second)[frameHeader:])
	f.Add(appendCall(nil, &ScriptCall{Kind: KindPassword, First: []byte("u"), Second: []byte("p")}, -time.Second)[frameHeader:])
	f.Add(appendCall(nil, nil, 0)[frameHeader:])
	f.Fuzz(func(t *testing.T, data []byte) {
		call, left, probe, err := parseCall(data)
		if err != nil || probe {
			return
		}
		again, leftAgain, _, err := parseCall(appendCall(nil, call, left)[frameHeader:])
		if diff := cmp.Diff(call, again, cmpopts.IgnoreFields(ScriptCall{}, "Handle"), cmpopts.EquateEmpty()); err != nil || left != leftAgain || diff != "" {
			t.Error(err, left, leftAgain, diff)
		}
	})
}
