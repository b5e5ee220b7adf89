package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/observe"
)

// Hostile text: markup that would run as a script, a word in a right-to-left script with an
// override that is not closed, emoji of many code points, and a long text without a place to
// break.
const (
	markup    = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`
	rightLeft = "\u202eمستأجر طويل الاسم جدا"
	pictures  = "👩‍👩‍👧‍👦🧨🏳️‍🌈🧑🏿‍🚀👩‍👩‍👧‍👦🧨🏳️‍🌈🧑🏿‍🚀"
	stacked   = "z̵̡̐̈́͛̾͒a̵̡̐̈́͛̾͒lgo" // many marks above and below two letters
)

// tenants have names that are as hostile: the last one has 120 letters.
var tenants = []string{markup, rightLeft, pictures, stacked, strings.Repeat("tenant", 20)}

// unbroken is a function name of the greatest length.
var unbroken = strings.Repeat("Unbroken_name-of-a-function_", 3)[:64]

// host has functions that greet, that fail with hostile texts, that fail with a secret, and
// that send letters, the first of which fail.
type host struct {
	*faas.Router
	recorder *observe.Recorder
	book     *cost.Book
	ledger   *cost.Ledger
	ring     *faas.Ring
	tail     *observe.RecentLog

	letters atomic.Int64 // deliveries of letters
}

// lost is how many letters fail before sending works.
const lost = 5

func newHost() *host {
	book, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		panic(err) // not possible: the book is a preset
	}
	h := &host{
		book: book, recorder: observe.NewRecorder(observe.WithBooks(book)), ledger: cost.NewLedger(cost.Calendar{Every: cost.Day}, book),
		ring: faas.NewRing(500, 32<<20, nil).KeepErrors(), tail: observe.Tail(500),
	}
	h.Router = faas.New(faas.WithCapacity(8), faas.WithLogger(slog.New(h.tail)), faas.WithMeter(h.recorder), faas.WithRefusals(h.recorder.Refused),
		faas.WithMeter(h.ledger), faas.WithCapture(h.ring))
	label := faas.WithLabels(map[string]string{markup: rightLeft})
	faas.Register(h.Router, "greet", greet)
	faas.Register(h.Router, unbroken, faas.NoOutput(hostile), label)
	faas.Register(h.Router, "payroll", faas.NoOutput(payroll))
	faas.Register(h.Router, "letters", faas.NoOutput(h.send), label)
	return h
}

func greet(_ context.Context, name string) (string, error) { return "Hello, " + name, nil }

// hostile fails, with its input as the text of the error.
func hostile(_ context.Context, text string) error { return errors.New(text) }

func payroll(context.Context, string) error { return errors.New("the salary of the board is secret") }

// send fails for the first letters.
func (h *host) send(context.Context, string) error {
	if h.letters.Add(1) <= lost {
		return faas.Permanent(errors.New(markup))
	}
	return nil
}

// play sends the letters, and makes calls until ctx ends.
func (h *host) play(ctx context.Context) {
	for range lost {
		_, _ = h.Send(faas.WithTenant(ctx, markup), "letters", []byte(`"Dear customer"`))
	}
	huge := strings.Repeat("wide as the sea ", 1<<16) // 1 MiB
	texts := []string{markup, rightLeft, pictures, strings.Repeat("unbroken", 500), huge, "two\nlines\n\tand \x00\x1b[31mcontrols"}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		h.call(ctx, "acme", "greet", "Ana")
		if n < len(texts) || n%8 == 0 { // the last text is repeated, so that the last minute always has some
			h.call(ctx, tenants[min(n, len(texts)-1+n/8)%len(tenants)], unbroken, texts[min(n, len(texts)-1)])
			h.call(ctx, "hush", "payroll", "January")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// call makes a call. Its result is ignored: the page shows it.
func (h *host) call(ctx context.Context, tenant, name, input string) {
	payload, err := json.Marshal(input)
	if err == nil {
		_, _ = h.Invoke(faas.WithTenant(ctx, tenant), name, payload)
	}
}
