package main

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"
)

// app is one run of the command: its streams, what it knows of the terminal, and its flags.
type app struct {
	in          io.Reader
	out, errOut io.Writer
	env         func(name string) string
	now         func() time.Time
	sleep       func(context.Context, time.Duration) bool
	size        func() (width, height int, ok bool) // of the terminal; ok is false if out is none
	asks        bool                                // there is a person to ask

	output string // text, json, jsonl or csv
	yes    bool
	begun  bool // the command line is right: what fails from here on is no usage
	api    *client
}

// begin checks the flags that all commands have.
func (a *app) begin() error {
	for _, f := range formats() {
		a.begun = a.begun || f == a.output
	}
	if !a.begun {
		return usagef("there is no format %q: -o is %s", a.output, strings.Join(formats(), ", "))
	}
	return nil
}

func formats() []string { return []string{"text", "json", "jsonl", "csv"} }

// width is how wide a table may be; 0: as wide as it is.
func (a *app) width() int {
	if width, _, ok := a.size(); ok {
		return width
	}
	width, err := strconv.Atoi(a.env("COLUMNS"))
	if err != nil || width < 1 {
		return 0
	}
	return width
}

// colors tells whether the output has colors; see https://no-color.org.
func (a *app) colors() bool {
	_, _, ok := a.size()
	return ok && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"
}

// text tells whether the output is for a person.
func (a *app) text() bool { return a.output == "text" }

// host is the client of the host that the environment or the file names.
func (a *app) host() (*client, error) {
	if a.api != nil {
		return a.api, nil
	}
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	a.api = newClient(c)
	return a.api, nil
}
