package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/inproc/faas/admin"
)

// The exit codes of the command. They are part of what it promises.
const (
	exitOK          = 0
	exitFailed      = 1 // the call, or what was to be done, has failed
	exitUsage       = 2 // the command line, the settings or an input can't be used
	exitAbsent      = 3 // there is no such thing, or it is not permitted
	exitUnreachable = 4 // the host can't be reached
)

// exitError is an error with its exit code and what to do about it.
type exitError struct {
	code  int
	text  string
	hint  string // what to do; empty: the text says it
	cause error
}

func (f *exitError) Error() string { return f.text }
func (f *exitError) Unwrap() error { return f.cause }

func usagef(format string, args ...any) error {
	return &exitError{code: exitUsage, text: fmt.Sprintf(format, args...)}
}

func failedf(format string, args ...any) error {
	return &exitError{code: exitFailed, text: fmt.Sprintf(format, args...)}
}

// hinted adds what to do to an error that is about something absent.
func hinted(err error, hint string) error {
	var f *exitError
	if errors.As(err, &f) && isAbsent(f) {
		f.hint = hint
	}
	return err
}

// isAbsent tells whether the API says that there is no such thing.
func isAbsent(err error) bool {
	var p *admin.Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound && p.Reason != "option"
}

// report says what went wrong, and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	var f *exitError
	switch {
	case errors.As(err, &f):
	case errors.Is(err, context.Canceled):
		f = &exitError{code: exitFailed, text: "interrupted"}
	case !a.begun:
		f = &exitError{code: exitUsage, text: firstLine(err.Error()), hint: "faas --help says what there is."}
	default:
		f = &exitError{code: exitFailed, text: err.Error()}
	}
	if f.text != "" {
		fmt.Fprintln(a.errOut, "faas: "+printable(strings.TrimPrefix(f.text, "faas: ")))
	}
	if f.hint != "" {
		fmt.Fprintln(a.errOut, "  "+printable(f.hint))
	}
	return f.code
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// faultOf is the error for an answer that is no success.
func faultOf(p *admin.Problem) error {
	code, hint := adviceFor(p)
	return &exitError{code: code, text: sentence(p.Error()), hint: hint, cause: p}
}

// sentence is the text of a problem as errors are written in Go: it begins small, and has no full stop.
func sentence(text string) string {
	text = strings.TrimSuffix(text, ".")
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToLower(first)) + text[size:]
}

// adviceFor is the exit code of a problem, and what to do about it.
func adviceFor(p *admin.Problem) (code int, hint string) {
	switch p.Reason {
	case "unauthenticated":
		return exitAbsent, "Set FAAS_TOKEN, or token in the file of settings, to a token that the host accepts."
	case "option":
		return exitAbsent, "The program that hosts the functions has to give admin." + p.Option + " to admin.Handler."
	case "writes":
		return exitAbsent, "The program that hosts the functions has to give admin.WithWrites to admin.Handler."
	case "host", "origin":
		return exitAbsent, "The host answers other names than that in FAAS_URL; see admin.WithHosts."
	case "input", "media_type", "method":
		return exitUsage, ""
	case "stale", "conflict":
		return exitFailed, "Look again, then repeat the command if it is still what you want."
	case "busy":
		return exitFailed, "Wait some seconds, then repeat the command."
	case "closed":
		return exitUnreachable, "Repeat the command when the host has started again."
	}
	switch p.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return exitAbsent, ""
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return exitUnreachable, ""
	}
	return exitFailed, ""
}

// version is that of the module, as the go command has recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
