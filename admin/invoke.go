package admin

import "encoding/json"

// Input is the input of a call: at most one of its fields is set.
type Input struct {
	Input  json.RawMessage `json:"input,omitempty"`  // JSON, passed on as it stands here
	Text   *string         `json:"text,omitempty"`   // text, for a client whose JSON would change numbers
	Base64 []byte          `json:"base64,omitempty"` // bytes
}

// InvokeRequest is the body of POST /v1/functions/{name}/invoke.
type InvokeRequest struct {
	Input

	Tenant   *string `json:"tenant,omitempty"` // null: the viewer's own
	Priority Int     `json:"priority,omitempty"`
	Key      string  `json:"key,omitempty"` // by which sticky aliases choose a version
}

// ReplayRequest is the body of POST /v1/failures/{id}/replay. Without an input, the call is
// made with the one that was captured.
type ReplayRequest struct {
	Input

	// Target is what is called: the function's name, or one of its versions or aliases, such as
	// "resize:2". Empty: the version that had failed.
	Target string `json:"target,omitempty"`
	// Tenant is for which tenant; null: that of the call that failed. For another one the
	// viewer needs the right to replay there, too.
	Tenant *string `json:"tenant,omitempty"`
}

// Result is how a call has ended. The status of the answer is 200 however it did.
type Result struct {
	RequestID    string `json:"requestId"` // that the call has, in records and logs
	Function     string `json:"function"`
	Version      string `json:"version,omitempty"` // that it was given to; empty: none
	Alias        string `json:"alias,omitempty"`
	Tenant       string `json:"tenant,omitempty"`
	Outcome      string `json:"outcome,omitempty"` // OK, Failed, …; empty: it was refused
	Kind         string `json:"kind,omitempty"`    // of a refusal
	Reason       string `json:"reason,omitempty"`
	RetryAfterNS Int    `json:"retryAfterNS,omitempty"`
	TookNS       Int    `json:"tookNS"`             // as the API saw it
	Error        string `json:"error,omitempty"`    // its text, for who may see inputs
	Stack        string `json:"stack,omitempty"`    // of a panic, for who may see stacks
	Output       *Data  `json:"output,omitempty"`   // null: there is none
	Log          string `json:"log,omitempty"`      // the last lines that the call has logged, for who may see inputs
	ReplayOf     string `json:"replayOf,omitempty"` // the call that it made again
}
