package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"

	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/cost/ledgersqlite"
)

// bill has the flags of a comparison with an AWS bill.
type bill struct{ export, tolerance, book string }

func (b bill) compare(stderr io.Writer) comparison {
	return func(ctx context.Context, r *ledgersqlite.Reader) ([]fmt.Stringer, error) {
		tolerance, err := parseTolerance(b.tolerance)
		if err != nil {
			return nil, err
		}
		book, err := cost.Preset(b.book)
		if err != nil {
			return nil, err
		}
		billed, err := readBill(b.export)
		if err != nil {
			return nil, err
		}
		for _, usage := range billed.Other() {
			fmt.Fprintln(stderr, "not compared:", usage)
		}
		days := cost.NewLedger(cost.Calendar{Every: cost.Day}, book)
		p := billed.Period()
		if err := r.Replay(ctx, ledgersqlite.Filter{From: p.Start, To: p.End}, days); err != nil {
			return nil, err
		}
		return lines(billed.Reconcile(days, book, tolerance))
	}
}

// parseTolerance reads "1%" and "0.01". It refuses exponents before big.Rat reads the text: a
// short text such as 1e999999999 is a number that fills the memory.
func parseTolerance(s string) (*big.Rat, error) {
	number, percent := strings.CutSuffix(s, "%")
	part, ok := new(big.Rat), false
	if len(s) <= 20 && !strings.ContainsAny(s, "eEpP") {
		_, ok = part.SetString(number)
	}
	if percent && ok {
		part.Quo(part, big.NewRat(100, 1))
	}
	if !ok || part.Sign() < 0 || part.Cmp(big.NewRat(1, 1)) > 0 {
		return nil, fmt.Errorf("-tolerance %q: write a part from 0%% to 100%%, such as 1%% or 0.01", s)
	}
	return part, nil
}

func readBill(file string) (_ *cost.AWSBill, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	from := bufio.NewReader(f)
	if magic, _ := from.Peek(2); string(magic) != "\x1f\x8b" {
		return cost.ReadAWSBill(from)
	}
	plain, err := gzip.NewReader(from)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	return cost.ReadAWSBill(plain)
}
