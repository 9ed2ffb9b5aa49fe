// Package errcode lists the stable codes of every refusal that a client can
// see. The log line, the response body and docs/errors.md share them; a test
// holds the three lists together. It must not know who refuses what, or how.
package errcode

import "fmt"

// Code is the number in WSGID-nnnn.
type Code int

// String is the code as it is written everywhere: WSGID-1003.
func (c Code) String() string { return fmt.Sprintf("WSGID-%04d", int(c)) }

// Entry says what a code means.
type Entry struct {
	Code   Code
	Status int    // HTTP status
	Title  string // one line for people
}

// Refusals of the router.
const (
	MalformedParams   Code = 1001
	HeaderTooLarge    Code = 1002
	NoMount           Code = 1003
	OutsideRoots      Code = 1004
	GroupForbidden    Code = 1005
	UnknownGroup      Code = 1006
	BadContentLength  Code = 1007
	ChunkedForbidden  Code = 1008
	BodyTooLarge      Code = 1009
	TransferEncoding  Code = 1010
	ShortBody         Code = 1011
	QueueFull         Code = 1012
	QueueTimeout      Code = 1013
	GroupUnavailable  Code = 1014
	WorkerDied        Code = 1015
	CrashedTwice      Code = 1016
	DispatchException Code = 1017
	DispatchValue     Code = 1018
	DispatchLoad      Code = 1019
	DispatchTimeout   Code = 1020
	EmbeddedMissing   Code = 1021
	DirectoryTarget   Code = 1022
	ScriptNotFound    Code = 1023
	BodyTimeout       Code = 1024
	RouterStopping    Code = 1025
	PeerForbidden     Code = 1026
	BadHost           Code = 1027
	EmbeddedForbidden Code = 1028
	RequestOverdue    Code = 1029
	PatternTimeout    Code = 1030
	WrongSetting      Code = 1031
	SettingForbidden  Code = 1032
	ExecForbidden     Code = 1033
	PathInfoRefused   Code = 1034
	HelperFailed      Code = 1035
	HelperUnavailable Code = 1036
	DirectoryClosed   Code = 1037
	GroupClosed       Code = 1038

	Unauthenticated    Code = 1041
	NotPermitted       Code = 1042
	AccessDenied       Code = 1043
	AuthFailed         Code = 1044
	GroupsFailed       Code = 1045
	AccessFailed       Code = 1046
	NothingToAuthorize Code = 1047
	AuthorizerOnly     Code = 1048
)

// Refusals of a worker.
const (
	ScriptForbidden    Code = 1101
	ScriptMissing      Code = 1102
	ScriptImport       Code = 1103
	CallableMissing    Code = 1104
	ApplicationRaised  Code = 1105
	ApplicationInvalid Code = 1106
	InterpreterFailed  Code = 1107
	WorkerParams       Code = 1108
	ApplicationExited  Code = 1115
	RequestTimeout     Code = 1120
	ScriptOwner        Code = 1141
	InterpreterLimit   Code = 1142
	ExtensionUnfit     Code = 1143
)

// All lists every code with its status and title, in order.
func All() []Entry {
	return []Entry{
		{MalformedParams, 400, "malformed request parameters"},
		{HeaderTooLarge, 431, "request headers too large"},
		{NoMount, 404, "no application is mounted at this URL"},
		{OutsideRoots, 403, "script outside the configured directories"},
		{GroupForbidden, 500, "process group not permitted here"},
		{UnknownGroup, 500, "unknown process group"},
		{BadContentLength, 400, "bad Content-Length"},
		{ChunkedForbidden, 411, "length required"},
		{BodyTooLarge, 413, "request body too large"},
		{TransferEncoding, 501, "unsupported Transfer-Encoding"},
		{ShortBody, 400, "request body shorter than its Content-Length"},
		{QueueFull, 503, "too many requests are waiting"},
		{QueueTimeout, 504, "waited too long for a free thread"},
		{GroupUnavailable, 503, "process group not available"},
		{WorkerDied, 502, "the process serving the request died"},
		{CrashedTwice, 502, "the request ended two processes"},
		{DispatchException, 500, "dispatch script raised an exception"},
		{DispatchValue, 500, "dispatch script returned a wrong value"},
		{DispatchLoad, 500, "dispatch script cannot be loaded"},
		{DispatchTimeout, 504, "dispatch script took too long"},
		{EmbeddedMissing, 500, "embedded Python not available"},
		{DirectoryTarget, 403, "the URL names a directory of scripts"},
		{ScriptNotFound, 404, "no such script"},
		{BodyTimeout, 408, "request body did not arrive in time"},
		{RouterStopping, 503, "wsgid is stopping"},
		{PeerForbidden, 403, "peer not allowed"},
		{BadHost, 400, "malformed Host header"},
		{EmbeddedForbidden, 500, "applications in the router are not permitted"},
		{RequestOverdue, 504, "the request ran for too long and was ended with its process"},
		{PatternTimeout, 500, "URL expression took too long"},
		{WrongSetting, 500, "wrong setting in the web server's configuration"},
		{SettingForbidden, 500, "setting not permitted to the web server's configuration"},
		{ExecForbidden, 403, "the file is not permitted to run"},
		{PathInfoRefused, 404, "nothing is behind the script"},
		{HelperFailed, 500, "dispatch helper failed"},
		{HelperUnavailable, 503, "dispatch helper not available"},
		{DirectoryClosed, 403, "a directory of scripts cannot be entered"},
		{GroupClosed, 503, "closed for maintenance"},
		{Unauthenticated, 401, "authentication required"},
		{NotPermitted, 401, "user not permitted here"},
		{AccessDenied, 403, "access denied"},
		{AuthFailed, 500, "authentication failed to work"},
		{GroupsFailed, 401, "groups of the user are not known"},
		{AccessFailed, 403, "access check failed to work"},
		{NothingToAuthorize, 500, "nothing is configured to decide about this URL"},
		{AuthorizerOnly, 403, "no applications are served here"},
		{ScriptForbidden, 403, "script not permitted for this process group"},
		{ScriptMissing, 404, "script not found"},
		{ScriptImport, 500, "script failed to import"},
		{CallableMissing, 500, "script has no such callable object"},
		{ApplicationRaised, 500, "application raised an exception"},
		{ApplicationInvalid, 500, "application broke the WSGI protocol"},
		{InterpreterFailed, 500, "interpreter could not be created"},
		{WorkerParams, 500, "worker received bad parameters"},
		{ApplicationExited, 500, "application raised SystemExit"},
		{RequestTimeout, 504, "request interrupted by RequestTimeout"},
		{ScriptOwner, 403, "script belongs to somebody else"},
		{InterpreterLimit, 503, "too many application groups in the process"},
		{ExtensionUnfit, 500, "extension module does not support sub-interpreters"},
	}
}
