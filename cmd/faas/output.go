package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// list prints items: as a table, as the API's document, as one JSON document a line, or as CSV.
func list[T any](a *app, doc any, items []T, columns []column[T], none string) error {
	switch a.output {
	case "json":
		return a.json(doc)
	case "jsonl":
		for _, item := range items {
			if err := a.jsonLine(item); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		return writeCSV(a, columns, items, true)
	}
	if len(items) == 0 {
		fmt.Fprintln(a.errOut, none) // to errOut, so that a program that counts lines counts none
		return nil
	}
	return table(a, items, columns)
}

// table prints items as a table, for a person.
func table[T any](a *app, items []T, columns []column[T]) error {
	return a.print(layOut(columns, items, a.width()).lines(items, a.colors())...)
}

// single prints one item. For a person, text prints it.
func single[T any](a *app, item T, columns []column[T], text func() error) error {
	if a.text() {
		return text()
	}
	return list(a, item, []T{item}, columns, "")
}

// json prints a document, indented by two spaces for each level.
func (a *app) json(doc any) error {
	data, err := shown(doc)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return err
	}
	return a.print(b.String())
}

func (a *app) jsonLine(doc any) error {
	data, err := shown(doc)
	if err != nil {
		return err
	}
	return a.print(string(data))
}

// shown encodes a document as JSON, and escapes the control characters that JSON allows in
// strings. One of them is U+009B, which can begin a command to a terminal.
func shown(doc any) ([]byte, error) {
	data, err := marshal(doc)
	if err != nil || !bytes.ContainsFunc(data, unprintable) {
		return data, err
	}
	var out []byte
	for _, r := range string(data) {
		if !unprintable(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out, nil
}

// print prints lines.
func (a *app) print(lines ...string) error {
	_, err := fmt.Fprintln(a.out, strings.Join(lines, "\n"))
	return err
}

// pair is a line of a description.
type pair struct{ name, value string }

// describe prints pairs, one on each line. Pairs without a value are left out.
func (a *app) describe(pairs ...pair) error {
	width := 0
	for _, p := range pairs {
		if p.value != "" {
			width = max(width, len(p.name))
		}
	}
	var out []string
	for _, p := range pairs {
		if p.value == "" {
			continue
		}
		name := p.name + strings.Repeat(" ", width-len(p.name)+gap)
		if a.colors() {
			name = paint(name, dim)
		}
		out = append(out, name+printable(p.value))
	}
	return a.print(out...)
}

// title prints a heading, with an empty line above it.
func (a *app) title(text string) error {
	if a.colors() {
		text = paint(text, head)
	}
	return a.print("", text)
}
