package main

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"
)

// app is one run of the command: its streams, its terminal and its flags.
type app struct {
	in          io.Reader
	out, errOut io.Writer
	env         func(name string) string
	now         func() time.Time
	sleep       func(context.Context, time.Duration) bool
	size        func() (width, height int, ok bool) // of the terminal; ok is false if out is not a terminal
	asks        bool                                // questions can be asked, on a terminal

	output string // text, json, jsonl or csv
	yes    bool
	begun  bool // the command line is valid: an error from here on is not one of usage
	api    *client
}

// begin checks the flags that every command has.
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

// width returns the width of a table; 0 means no limit.
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

// colors reports whether the output has colors; see https://no-color.org.
func (a *app) colors() bool {
	_, _, ok := a.size()
	return ok && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"
}

// text reports whether the output is for a person.
func (a *app) text() bool { return a.output == "text" }

// host returns the client of the host that the environment or the config file names.
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
