//go:build cgo

package pyshim

// #include "dispatch_call.h"
import "C"

import "strings"

// QuestionKind says which function of a script is called (mod_wsgi behaviour 5.2).
type QuestionKind int

// Questions to scripts that authenticate, authorise and control access.
const (
	AskPassword  QuestionKind = C.WSGID_ASK_PASSWORD   // check_password(environ, user, password)
	AskRealmHash QuestionKind = C.WSGID_ASK_REALM_HASH // get_realm_hash(environ, user, realm)
	AskGroups    QuestionKind = C.WSGID_ASK_GROUPS     // groups_for_user(environ, user)
	AskAccess    QuestionKind = C.WSGID_ASK_ACCESS     // allow_access(environ, host)
)

// Question is what a script is asked: the arguments after environ.
type Question struct {
	Kind          QuestionKind
	First, Second []byte
}

// Verdict is what a script answered.
type Verdict int

// Verdicts.
const (
	Granted Verdict = C.WSGID_VERDICT_GRANTED // True, a text or the groups
	Denied  Verdict = C.WSGID_VERDICT_DENIED  // False
	Unknown Verdict = C.WSGID_VERDICT_UNKNOWN // None
)

// AuthAnswer is the answer to a Question.
type AuthAnswer struct {
	Verdict Verdict
	Text    string   // the name that replaces the user's, or the hash; str as UTF-8
	Groups  []string // of AskGroups; str as UTF-8
	// LoadError is as in Decision.
	LoadError string
}

// Ask puts a question to a script that authenticates or controls access. It
// blocks in C until the function returns; Interrupt ends it. The error is a
// *ScriptError, whose Value tells the type of a wrong value and no more.
func (h *Host) Ask(c *Call, q Question) (AuthAnswer, error) {
	s, err := h.begin(c)
	if err != nil {
		return AuthAnswer{}, err
	}
	defer h.end(c)
	C.wsgid_ask(s.c, chars(c.Script), C.size_t(len(c.Script)), chars(c.ApplicationGroup),
		C.size_t(len(c.ApplicationGroup)), bytesOf(c.Params), C.size_t(len(c.Params)),
		chars(c.RequestID), C.size_t(len(c.RequestID)), c.flags(), C.int(q.Kind),
		bytesOf(q.First), C.size_t(len(q.First)), bytesOf(q.Second), C.size_t(len(q.Second)), &s.result)
	defer s.free()
	if err := s.failure(c.Script); err != nil {
		return AuthAnswer{}, err
	}
	a := AuthAnswer{Verdict: Verdict(s.result.verdict), LoadError: C.GoString(s.result.load_error)}
	text := override(&s.result.overrides[0]).Value
	if q.Kind != AskGroups {
		a.Text = text
	} else if text != "" {
		a.Groups = strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")
	}
	return a, nil
}
