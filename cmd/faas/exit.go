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

// The exit codes of the command. Scripts may rely on them.
const (
	exitOK          = 0
	exitFailed      = 1 // the call or the change has failed
	exitUsage       = 2 // the command line, the settings or an input is not valid
	exitAbsent      = 3 // the object does not exist, or is not permitted
	exitUnreachable = 4 // the host can't be reached
)

// exitError is an error with an exit code and a hint.
type exitError struct {
	code  int
	text  string
	hint  string // how to mend it; empty: the text says so
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

// hinted adds a hint to an error that is about something absent.
func hinted(err error, hint string) error {
	var f *exitError
	if errors.As(err, &f) && isAbsent(f) {
		f.hint = hint
	}
	return err
}

// isAbsent reports whether the API has answered that something does not exist.
func isAbsent(err error) bool {
	var p *admin.Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound && p.Reason != "option"
}

// report prints an error, and returns the exit code.
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

// faultOf returns the error for a problem that the API has answered.
func faultOf(p *admin.Problem) error {
	code, hint := adviceFor(p)
	return &exitError{code: code, text: sentence(p.Error()), hint: hint, cause: p}
}

// sentence returns the text of a problem in the form of a Go error: with a small first letter,
// and without a full stop.
func sentence(text string) string {
	text = strings.TrimSuffix(text, ".")
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToLower(first)) + text[size:]
}

// adviceFor returns the exit code of a problem, and a hint.
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

// version returns the version of the module, as the go command has recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
