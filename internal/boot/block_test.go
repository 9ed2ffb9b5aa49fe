package boot

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoundTrip(t *testing.T) {
	var b Block
	b.Set("role", "worker")
	b.SetInt("uid", 64001)
	b.SetBool("dumpable", false)
	b.SetBool("no_new_privs", true)
	b.SetOptional("python", "")
	b.SetOptional("home", "/srv")
	b.SetList("group", []string{"4", "24"})
	b.Set("empty", "")
	file, err := b.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if !Sealed(file.Fd()) {
		t.Error("the memfd is not sealed")
	}
	if _, err := file.WriteAt([]byte("x"), 0); err == nil {
		t.Error("a sealed block can be written")
	}
	for range 2 { // an offset of its own each time
		again, err := Reopen(file)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(again)
		again.Close()
		if err != nil {
			t.Fatal(err)
		}
		if want := "wsgid-boot 1\x00role\x00worker\x00uid\x0064001\x00dumpable\x000\x00no_new_privs\x001\x00" +
			"home\x00/srv\x00group\x004\x00group\x0024\x00empty\x00\x00"; string(data) != want {
			t.Fatalf("got %q, want %q", data, want)
		}
		decoded, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"4", "24"}, decoded.List("group")); diff != "" {
			t.Error(diff)
		}
		if uid, ok := decoded.Number("uid"); !ok || uid != 64001 {
			t.Errorf("uid is %d, %v", uid, ok)
		}
		if _, ok := decoded.Number("python"); ok {
			t.Error("an absent number is there")
		}
	}
}

func TestNULIsRefused(t *testing.T) {
	var b Block
	b.Set("name", "a\x00role\x00router")
	if _, err := b.File(); err == nil {
		t.Error("a value with NUL was encoded")
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, data := range []string{"", "wsgid-boot 1", "wsgid-boot 2\x00a\x00b\x00", "wsgid-boot 1\x00a\x00"} {
		if _, err := Decode([]byte(data)); err == nil {
			t.Errorf("%q was decoded", data)
		}
	}
}
