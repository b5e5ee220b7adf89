package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
)

// confirm asks a person, and is nil if the answer is yes. Without one it says that -y is needed.
func (a *app) confirm(ctx context.Context, what string) error {
	if a.yes {
		return nil
	}
	if !a.asks {
		return &exitError{code: exitUsage, text: what + " needs a yes, and there is no terminal to ask on", hint: "Nothing was done. Give -y to do it."}
	}
	fmt.Fprint(a.errOut, printable(what)+"? [y/N] ")
	answers := make(chan string, 1)
	go func() { // a read of a terminal can't be ended; the process does
		answer, _ := bufio.NewReader(a.in).ReadString('\n') // without an answer it is empty
		answers <- strings.ToLower(strings.TrimSpace(answer))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case answer := <-answers:
		if answer == "y" || answer == "yes" {
			return nil
		}
		return failedf("nothing was done")
	}
}
