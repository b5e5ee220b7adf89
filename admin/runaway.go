package admin

import (
	"time"
)

// Runaways is the answer of GET /v1/runaways, the oldest first.
type Runaways struct {
	Runaways []Runaway `json:"runaways"`
}

// Runaway is a handler that still runs although its call has ended.
type Runaway struct {
	ID        string    `json:"id"` // of the call
	Function  string    `json:"function"`
	Version   string    `json:"version"`
	Tenant    string    `json:"tenant,omitempty"`
	RequestID string    `json:"requestId,omitempty"`
	Job       string    `json:"job,omitempty"`
	Started   time.Time `json:"started"`
	OverNS    Int       `json:"overNS"`             // how long ago the call ended
	Replaced  bool      `json:"replaced,omitempty"` // its slot was given to another call
}

// Stack is the answer of GET /v1/runaways/{id}/stack and of GET /v1/failures/{id}/stack.
type Stack struct {
	ID    string `json:"id"`
	Stack string `json:"stack"` // as the Go runtime prints it
}
