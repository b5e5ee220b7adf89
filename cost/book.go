package cost

import (
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Book is a price list: what is billed, how a call is rounded, and what it
// costs. It is read-only, and may be used concurrently.
//
// As a file it is JSON, of this form:
//
//	{
//	  "name": "example",                         lower case, for programs
//	  "title": "Example Functions",              for people
//	  "provider": "Example", "service": "Functions", "region": "eu-1",
//	  "currency": "EUR",
//	  "effective": "2026-01-01",                 from when it holds
//	  "read": "2026-08-03",                      optional: when it was read
//	  "source": "https://example.com/prices",    where
//	  "note": "…",                               optional
//	  "gb": "1024MiB",                           what a GB is, if a unit names one
//	  "duration": {"granularity": "100ms", "minimum": "0s", "init": false},
//	  "memory": {"minimum": "128MiB", "step": "1MiB", "maximum": "4096MiB"},
//	  "cpu": [{"memory": "1024MiB", "milli": 500}, …],
//	  "prices": [
//	    {"meter": "memory",    "unit": "GB-s",   "price": "0.0000025", "free": "400000",
//	     "tiers": [{"above": "6000000000", "price": "0.000002"}]},
//	    {"meter": "cpu",       "unit": "vCPU-s", "price": "0.000024"},
//	    {"meter": "requests",  "unit": "1000000 requests", "price": "0.40"},
//	    {"meter": "processor", "unit": "1000000 ms", "price": "0.02"},
//	    {"meter": "bytes",     "unit": "GB", "price": "0.008", "allowance": "6MB"},
//	    {"meter": "base",      "unit": "month", "price": "5"}
//	  ]
//	}
//
// A call's duration is rounded up to the granularity, which must divide the
// minimum; with init, the initialization of its instance counts too. Memory is
// raised to the minimum and rounded up to the step, which must divide the maximum;
// above that the book has no price ([ErrUnrated]). In place of these it may be
// rounded up to one of "sizes": ["512MiB", "2048MiB"]. The table under cpu says how
// many thousandths of a vCPU a call has, by the first line that has its memory, and
// must reach the maximum. The currency is a code of ISO 4217, in capitals.
//
// Meters are memory and vCPU (cpu) for as long as a call takes; requests; the time
// that a processor was in use (processor), which is at most the duration where it
// was not measured ([Ledger.RecordProcessor]), rounded up to the granularity; the
// bytes of output, which are known of calls with encoded payloads and of streams,
// above an allowance that each call has; and a base fee for each calendar month.
// Units of memory are GB or GiB, and of cpu vCPU, times ms, s, min or h; of
// processor ms, s, min or h; of bytes GB or GiB. Any but a month may be a number of
// them, such as "100000 GB-s".
//
// Prices and other quantities are strings, so that no tool rounds them. What is free
// is per calendar month, in single units (GB-s, requests), and so is what a month
// must have more than for a price among the tiers, which ascend and say the price of
// what is above; what is free is the first of the month. Prices with one text under
// "ladder" are counted together for their tiers and for what is free, and with one
// under "grant" for what is free alone, in a book and in all of [NewStatements]:
// they must have the same unit, bounds and free quantity. Sizes are whole numbers of
// B, KB, MB, GB (1000) or KiB, MiB, GiB (1024).
type Book struct {
	about    About
	rounding Rounding
	memory   sizing
	cpu      []share
	prices   []price
	from     time.Time // the Effective date; zero: always
	earlier  []*Book   // of a series: those before it, ascending
}

// About says what a book is.
type About struct {
	Name      string `json:"name"`  // for programs, such as "aws-lambda-x86"
	Title     string `json:"title"` // for people
	Provider  string `json:"provider"`
	Service   string `json:"service"`
	Region    string `json:"region"`
	Currency  string `json:"currency"`
	Effective string `json:"effective,omitempty"` // since when the prices hold: year-month-day; empty: always, as of a [Machine]
	Read      string `json:"read,omitempty"`      // when they were read: a day, a month or a year; empty: not known
	Source    string `json:"source"`              // where they were read
	Note      string `json:"note,omitempty"`
}

// The meters that a price may be for.
const (
	meterMemory    = "memory"
	meterCPU       = "cpu"
	meterRequests  = "requests"
	meterProcessor = "processor"
	meterBytes     = "bytes"
	meterBase      = "base"
)

// price is one line of a book. Quantities are counted in whole billed units,
// the smallest there are: granularity × step of memory, granularity × 1/1000
// vCPU, a granularity of processor time, a byte, a request, or a month.
type price struct {
	meter string
	unit  string   // as in the book, for one: "GB-s", "request"
	focus string   // as FOCUS writes it
	base  *big.Rat // how much of the unit one billed unit is; a finite decimal
	each  *big.Rat // money for one of the unit; a finite decimal
	free  *big.Int // billed units a calendar month
	tiers []tier   // the prices for more, ascending
	above *big.Int // of a tier: its bound; nil: of none, or the first

	ladder, grant string // whose tiers, and whose free quantity, it shares; empty: its own
	allowance     int64  // of bytes: of each call, not counted
	since         string // of a statement in which it changes: since when it holds
}

// About says what the book is.
func (b *Book) About() About { return b.about }

// Rounding is how it rounds a call's duration.
func (b *Book) Rounding() Rounding { return b.rounding }

// tier is a price that holds for what a calendar month has above a quantity.
type tier struct {
	above *big.Int // billed units; more than of the tier before, and than 0
	each  *big.Rat // money for one of the unit; a finite decimal
}

// machineGranularity is a billionth of an hour, so that any time billed is a
// finite decimal of hours.
const machineGranularity = time.Hour / 1e9

// Machine is the book of a machine of your own: a call costs the price of one
// core, and of its declared memory, for as long as it runs, rounded up to 3.6 µs
// (a billionth of an hour). A handler that waits leaves its core to others, so
// this is what it costs if the machine is sized by concurrent calls. Both
// prices are per hour, and finite decimals; the second, for a GiB, may be zero
// Money.
func Machine(perCore, perGiB Money) (*Book, error) {
	currency, err := common(perCore, perGiB)
	if err != nil {
		return nil, err
	}
	if !finite(perCore.rat()) || !finite(perGiB.rat()) || perCore.Sign() < 0 || perGiB.Sign() < 0 || currency == "" {
		return nil, fmt.Errorf("cost: machine at %s and %s an hour: %w", perCore, perGiB, errMachine)
	}
	b := &Book{
		about: About{
			Name: "machine", Title: "Own machine", Provider: "self", Service: "own machine", Region: "local",
			Currency: currency, Source: "the caller of cost.Machine",
			Note: "One core for each running call.",
		},
		rounding: Rounding{Granularity: machineGranularity, Init: true},
		memory:   sizing{step: mib},
		cpu:      []share{{memory: maxMemory, milli: 1000}},
	}
	b.prices = []price{
		{meter: meterCPU, unit: "core-h", focus: "Core-Hours", base: big.NewRat(1, 1e12), each: perCore.Amount(), free: new(big.Int)},
		{meter: meterMemory, unit: "GiB-h", focus: "GiB-Hours", base: big.NewRat(1, 1024*1e9), each: perGiB.Amount(), free: new(big.Int)},
	}
	if perGiB.Sign() == 0 {
		b.prices = b.prices[:1]
	}
	return b, nil
}

var errMachine = errors.New("prices must be finite decimals, not negative, and in a currency")
