// Readmecheck checks that README.md and other documents agree with the code. An HTML comment
// on the line above each fenced block of go or sh says how the block is checked:
//
//	<!-- file: path/to/file.go -->   the go block stands in that file, line for line; its indentation there is ignored
//	<!-- nofile: reason -->          the go block is in no file
//	<!-- run -->                     the sh block is run, in the directory of -C, by bash -euo pipefail
//	<!-- norun: reason -->           the sh block cannot be run by a machine
//
// Blocks in other languages are not checked.
//
// Paths in those comments, and paths of documents, are relative to the directory of -C, which
// is the root of the repository. Links to files must lead to a file that exists.
//
//	GOWORK=off go -C tools run ./readmecheck -C .. README.md docs/guide.md   checks
//	GOWORK=off go -C tools run ./readmecheck -C .. -run README.md            checks, then runs
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A block is a fenced block; line is that of its opening fence.
type block struct {
	line            int
	lang, tag, note string
	text            string
}

func main() {
	run := flag.Bool("run", false, "run the sh blocks marked <!-- run -->")
	dir := flag.String("C", "", "the `directory` that paths are relative to, and commands run in (default the document's own)")
	flag.Parse()
	documents := flag.Args()
	if len(documents) == 0 {
		documents = []string{"README.md"}
	}
	var failed error
	for _, d := range documents {
		if *dir == "" {
			failed = errors.Join(failed, readmecheck(filepath.Dir(d), filepath.Base(d), *run))
		} else {
			failed = errors.Join(failed, readmecheck(*dir, d, *run))
		}
	}
	if failed != nil {
		fmt.Fprintln(os.Stderr, failed)
		os.Exit(1)
	}
}

func readmecheck(dir, document string, run bool) error {
	content, err := os.ReadFile(filepath.Join(dir, document))
	if err != nil {
		return err
	}
	blocks, problems := parse(string(content))
	for _, b := range blocks {
		if p := b.problem(dir); p != "" {
			problems = append(problems, fmt.Sprintf("%s:%d: %s", document, b.line, p))
		}
	}
	problems = append(problems, deadLinks(dir, document, string(content))...)
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	for _, b := range blocks {
		if !run || b.tag != "run" {
			continue
		}
		fmt.Printf("-- %s:%d\n%s", document, b.line, b.text)
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", b.text)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stdout, os.Stderr
		// A reader has no GOWORK set; this program is run with GOWORK=off.
		cmd.Env = append(os.Environ(), "GOWORK=")
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s:%d: %w", document, b.line, err)
		}
	}
	return nil
}

// link matches a Markdown link. A link with a scheme, such as https:, leads out of the
// repository and is not checked.
var link = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)

// deadLinks returns the links to files that do not exist.
func deadLinks(dir, document, text string) (problems []string) {
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[1], "://") {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, filepath.Dir(document), m[1])); err != nil {
			problems = append(problems, fmt.Sprintf("%s: a link leads to %s, which is not there", document, m[1]))
		}
	}
	return problems
}

var (
	fence   = regexp.MustCompile("^(```+)\\s*(\\S*)")
	comment = regexp.MustCompile(`^<!--\s*(file|nofile|run|norun)\b:?\s*(.*?)\s*-->$`)
)

// parse returns the fenced blocks of a Markdown text. Only a fence at the beginning of a line
// counts: an indented fence belongs to a list or a quote, and its block could not be compared
// or run unchanged.
func parse(text string) (blocks []block, problems []string) {
	var cur *block
	var end string      // the fence that ends the block cur
	var above [2]string // the kind and the text of the HTML comment on the line above
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case cur != nil && strings.TrimRight(line, " ") == end:
			blocks, cur = append(blocks, *cur), nil
		case cur != nil:
			cur.text += line + "\n"
		case m != nil:
			cur, end = &block{line: i + 1, lang: m[2], tag: above[0], note: above[1]}, m[1]
			above = [2]string{}
		case strings.TrimSpace(line) != "":
			above = [2]string{}
			if c := comment.FindStringSubmatch(strings.TrimSpace(line)); c != nil {
				above = [2]string{c[1], c[2]}
			}
		}
	}
	if cur != nil {
		problems = append(problems, fmt.Sprintf("line %d: the block does not end", cur.line))
	}
	return blocks, problems
}

// problem returns what is wrong with b, or "".
func (b block) problem(dir string) string {
	switch {
	case b.lang == "bash" || b.lang == "shell" || b.lang == "console":
		return "write sh instead of " + b.lang + ", so that the block is checked"
	case b.lang == "go" && b.tag == "file":
		src, err := os.ReadFile(filepath.Join(dir, b.note))
		if err != nil {
			return err.Error()
		}
		if !stands(b.text, string(src)) {
			return "the block differs from " + b.note
		}
	case b.lang == "go" && (b.tag != "nofile" || b.note == ""):
		return "a go block needs <!-- file: path --> or <!-- nofile: reason --> above it"
	case b.lang == "sh" && b.tag != "run" && (b.tag != "norun" || b.note == ""):
		return "an sh block needs <!-- run --> or <!-- norun: reason --> above it"
	}
	return ""
}

// stands reports whether src contains the lines of text one after the other, all indented by
// the same number of additional tabs: a document shows the inside of a function without its
// indentation.
func stands(text, src string) bool {
	src = "\n" + src
	for range 5 {
		if strings.TrimSpace(text) != "" && strings.Contains(src, "\n"+text) {
			return true
		}
		var deeper strings.Builder
		for line := range strings.Lines(text) {
			if line != "\n" {
				deeper.WriteByte('\t')
			}
			deeper.WriteString(line)
		}
		text = deeper.String()
	}
	return false
}
