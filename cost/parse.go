package cost

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"strings"
	"time"
)

// parseBook reads and checks a book, and reports all its mistakes at once.
func parseBook(file string, data []byte) (*Book, error) {
	r := &bookReader{file: file, data: data}
	root := r.tree()
	if root == nil {
		return nil, errors.Join(r.errs...)
	}
	b := r.book(root)
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	return b, nil
}

// book reads the whole object. It goes on after a mistake, so that all mistakes are reported:
// after a mistake, each method that reads a part returns a value that the others can use.
func (r *bookReader) book(root *node) *Book {
	o := r.object(root, "", "name", "title", "provider", "service", "region", "currency",
		"effective", "read", "source", "note", "gb", "duration", "memory", "cpu", "prices")
	b := &Book{about: About{
		Name:      r.text(o.need("name")),
		Title:     r.text(o.need("title")),
		Provider:  r.text(o.need("provider")),
		Service:   r.text(o.need("service")),
		Region:    r.text(o.need("region")),
		Currency:  r.currency(o.need("currency")),
		Effective: r.date(o.need("effective")),
		Read:      r.reading(o.maybe("read")),
		Source:    r.text(o.need("source")),
		Note:      r.text(o.maybe("note")),
	}}
	b.from, _ = time.Parse(time.DateOnly, b.about.Effective)
	gb := r.size(o.maybe("gb"))
	b.rounding = r.duration(o.need("duration"))
	b.memory = r.sizing(o.need("memory"))
	b.cpu = r.shares(o.maybe("cpu"), b.memory.most())
	b.prices = r.prices(o.need("prices"), b, gb)
	return b
}

// currency reads a code of ISO 4217.
func (r *bookReader) currency(n *node) string {
	s := r.text(n)
	if s != "" && !isCurrency(s) {
		r.fail(n, "write a currency code of ISO 4217 in capitals, such as \"USD\"")
	}
	return s
}

// date reads a day.
func (r *bookReader) date(n *node) string {
	s := r.text(n)
	if _, err := time.Parse(time.DateOnly, s); s != "" && err != nil {
		r.fail(n, "write a date as year-month-day, such as \"2026-01-01\"")
	}
	return s
}

// reading reads the field "read", the time at which the prices were read: a day, or less exactly
// a month or a year.
func (r *bookReader) reading(n *node) string {
	s := r.text(n)
	for _, layout := range []string{time.DateOnly, "2006-01", "2006"} {
		if _, err := time.Parse(layout, s); s == "" || err == nil {
			return s
		}
	}
	r.fail(n, "write a date, such as \"2026-08-03\", \"2026-08\" or \"2026\"")
	return ""
}

// duration reads how durations are rounded. A minimum that is not a multiple of the
// granularity is refused, because the format does not define whether it would be rounded up.
func (r *bookReader) duration(n *node) Rounding {
	o := r.object(n, "duration", "granularity", "minimum", "init")
	granularity, mistakes := o.need("granularity"), len(r.errs)
	rule := Rounding{
		Granularity: r.time(granularity),
		Minimum:     r.time(o.maybe("minimum")),
		Init:        r.flag(o.maybe("init")),
	}
	if granularity != nil && rule.Granularity <= 0 && len(r.errs) == mistakes {
		r.fail(granularity, "must be more than zero")
	}
	rule.Granularity = max(rule.Granularity, 1)
	if rule.Minimum%rule.Granularity != 0 {
		r.fail(o.maybe("minimum"), "must be a multiple of the granularity")
	}
	return rule
}

// sizing reads how memory is rounded: by steps, or to one of several sizes.
func (r *bookReader) sizing(n *node) sizing {
	o := r.object(n, "memory", "minimum", "step", "maximum", "sizes")
	if sizes := o.maybe("sizes"); sizes != nil {
		if len(n.members) > 1 {
			r.fail(n, "has sizes, which replace minimum, step and maximum: leave those out")
		}
		return r.sizes(sizes)
	}
	step, mistakes := o.need("step"), len(r.errs)
	s := sizing{minimum: r.size(o.maybe("minimum")), step: r.size(step), maximum: r.size(o.maybe("maximum"))}
	if step != nil && s.step <= 0 && len(r.errs) == mistakes {
		r.fail(step, "must be more than zero")
	}
	if s.maximum > 0 && s.maximum < s.minimum {
		r.fail(o.maybe("maximum"), "is less than the minimum")
	}
	s.step = max(s.step, 1)
	if s.maximum%s.step != 0 {
		r.fail(o.maybe("maximum"), "must be a multiple of the step, or calls near it would be billed for more memory than there is")
	}
	return s
}

// sizes reads the sizes of memory that are sold. The step is their greatest common divisor,
// so that each size is a whole number of billed units.
func (r *bookReader) sizes(n *node) sizing {
	var s sizing
	for _, item := range r.list(n) {
		size := r.size(item)
		if size <= 0 || len(s.sizes) > 0 && size <= s.sizes[len(s.sizes)-1] {
			r.fail(item, "sizes must be more than zero, and ascend")
			continue
		}
		s.sizes = append(s.sizes, size)
		s.step = gcd(s.step, size)
	}
	s.step = max(s.step, 1)
	return s
}

// shares reads the table of processors. The table must reach most, the largest memory that is
// sold. If most is 0 there is no such bound, and the book has prices up to the table's end.
func (r *bookReader) shares(n *node, most int64) []share {
	if n == nil {
		return nil
	}
	var table []share
	for _, item := range r.list(n) {
		o := r.object(item, item.field, "memory", "milli")
		s := share{memory: r.size(o.need("memory")), milli: r.whole(o.need("milli"))}
		if s.milli < 0 {
			r.fail(item, "milli must not be negative")
		}
		if len(table) > 0 && s.memory <= table[len(table)-1].memory {
			r.fail(item, "memory must ascend from line to line")
		}
		table = append(table, s)
	}
	if len(table) > 0 && table[len(table)-1].memory < most {
		r.fail(n, "ends at %d bytes, below the most memory that there is, %d bytes", table[len(table)-1].memory, most)
	}
	return table
}

// prices reads the list of prices. Each meter has one price, and prices that share a
// ladder or a grant must fit together.
func (r *bookReader) prices(n *node, b *Book, gb int64) []price {
	var all []price
	for _, item := range r.list(n) {
		p := r.price(item, b, gb)
		for _, other := range all {
			if p.meter != "" && p.meter == other.meter {
				r.fail(item.get("meter"), "%q has a price already", p.meter)
			} else if !p.fits(other) {
				r.fail(item, "shares a ladder or a grant with %q, and has another unit, other bounds, or another free quantity", other.meter)
			}
		}
		all = append(all, p)
	}
	return all
}

// price reads one price. It reads the unit before the quantities, which are counted in that
// unit.
func (r *bookReader) price(item *node, b *Book, gb int64) price {
	o := r.object(item, item.field, "meter", "unit", "price", "free", "tiers", "ladder", "grant", "allowance")
	meter, unit := o.need("meter"), o.need("unit")
	p := price{meter: r.text(meter), ladder: r.text(o.maybe("ladder")), grant: r.text(o.maybe("grant"))}
	per := r.unit(unit, meter, &p, b, gb)
	p.each = r.each(o.need("price"), unit, per)
	p.free = r.quantity(o.maybe("free"), &p)
	p.tiers = r.tiers(o.maybe("tiers"), unit, &p, per)
	p.allowance = r.size(o.maybe("allowance"))
	if p.allowance != 0 && p.meter != meterBytes {
		r.fail(o.maybe("allowance"), "only the meter \"bytes\" has an allowance")
	}
	if p.meter == meterBase && (p.free.Sign() != 0 || p.tiers != nil) {
		r.fail(item, "a base fee has nothing free, and no tiers")
	}
	return p
}

// each reads a price and returns the price of one unit. The parameter per is how many units the
// price buys.
func (r *bookReader) each(n, unit *node, per *big.Rat) *big.Rat {
	each := r.positive(n)
	if each.Quo(each, per); !finite(each) {
		r.fail(unit, "the price of one unit is not a finite decimal")
	}
	return each
}

// tiers reads the tiers of a price, which must ascend.
func (r *bookReader) tiers(n, unit *node, p *price, per *big.Rat) []tier {
	if n == nil {
		return nil
	}
	var all []tier
	from := new(big.Int)
	for _, item := range r.list(n) {
		o := r.object(item, item.field, "above", "price")
		bound := o.need("above")
		t := tier{r.quantity(bound, p), r.each(o.need("price"), unit, per)}
		if bound != nil && t.above.Cmp(from) <= 0 {
			r.fail(bound, "must be more than zero, and ascend from tier to tier")
		}
		from = t.above
		all = append(all, t)
	}
	return all
}

// unit reads the quantity that a price is for. It sets p.unit, p.focus and p.base, and
// returns how many of these units the price buys.
func (r *bookReader) unit(n, meter *node, p *price, b *Book, gb int64) *big.Rat {
	one := big.NewRat(1, 1)
	p.base = one
	text := r.text(n)
	if text == "" || p.meter == "" {
		return one // the mistake has been reported
	}
	if p.meter == meterRequests {
		p.unit, p.focus = "request", "Requests"
		return r.requests(n, text)
	}
	count := one
	if number, rest, counted := strings.Cut(text, " "); counted {
		text, count = rest, r.count(n, number)
	}
	switch p.meter {
	case meterMemory, meterCPU:
		r.timed(n, text, p, b, gb)
	case meterProcessor:
		r.processor(n, text, p, b)
	case meterBytes:
		r.bytes(n, text, p, gb)
	case meterBase:
		p.unit, p.focus = "month", "Months"
		if text != "month" {
			r.fail(n, "write \"month\"")
		}
	default:
		r.fail(meter, "write \"memory\", \"cpu\" or \"requests\", or \"processor\", \"bytes\" or \"base\"")
	}
	return count
}

// requests reads the unit of requests, and returns how many the price buys.
func (r *bookReader) requests(n *node, text string) *big.Rat {
	if text == "request" {
		return big.NewRat(1, 1)
	}
	number, word, _ := strings.Cut(text, " ")
	if word != "requests" {
		r.fail(n, "write \"request\", or a number of them, such as \"1000000 requests\"")
		return big.NewRat(1, 1)
	}
	return r.count(n, number)
}

// count reads how many of a unit a price buys.
func (r *bookReader) count(n *node, number string) *big.Rat {
	count, err := strconv.ParseInt(number, 10, 64)
	if err != nil || count <= 0 {
		r.fail(n, "write the unit, or a number of them, such as \"1000000 requests\" or \"100000 GB-s\"")
		return big.NewRat(1, 1)
	}
	return new(big.Rat).SetInt64(count)
}

// timed reads a unit that is a product of an amount and a time, for example "GB-s".
func (r *bookReader) timed(n *node, text string, p *price, b *Book, gb int64) {
	what, clock, _ := strings.Cut(text, "-")
	amount, focus := r.amount(n, what, p.meter, b, gb)
	length, plural := timeUnit(clock)
	if amount == nil || length == 0 {
		if amount != nil || what == text {
			r.fail(n, "write a unit times s, min or h, or ms, such as \"GB-s\" or \"vCPU-ms\"")
		}
		return
	}
	p.unit, p.focus = text, focus+"-"+plural
	r.base(n, p, amount, b.rounding.Granularity, length)
}

// processor reads a unit of processor time.
func (r *bookReader) processor(n *node, text string, p *price, b *Book) {
	length, plural := timeUnit(text)
	if length == 0 {
		r.fail(n, "processor time is measured in ms, s, min or h")
		return
	}
	p.unit, p.focus = text, plural
	r.base(n, p, big.NewRat(1, 1), b.rounding.Granularity, length)
}

// base sets p.base, the size of a billed unit in p's unit: an amount times one granularity of
// time.
func (r *bookReader) base(n *node, p *price, amount *big.Rat, granularity, length time.Duration) {
	p.base = new(big.Rat).Mul(amount, big.NewRat(int64(granularity), int64(length)))
	if !finite(p.base) {
		r.fail(n, "a granularity of %v is not a finite decimal of this unit; for hours take one such as \"3.6us\", a billionth of it", granularity)
	}
}

// bytes reads a unit of output. A GB is 10⁹ bytes unless the book says otherwise.
func (r *bookReader) bytes(n *node, text string, p *price, gb int64) {
	size := map[string]int64{"GB": cmp.Or(gb, 1e9), "GiB": 1 << 30}[text]
	if size <= 0 {
		r.fail(n, "output is measured in GB or GiB")
		return
	}
	p.unit, p.focus, p.base = text, focusGB(size), big.NewRat(1, size)
	if !finite(p.base) {
		r.fail(n, "a byte is not a finite decimal of a GB of %d", size)
	}
}

// amount returns how much one billed unit has of the unit's first half, for example of the GB
// in GB-s.
func (r *bookReader) amount(n *node, what, meter string, b *Book, gb int64) (*big.Rat, string) {
	switch {
	case meter == meterCPU && what == "vCPU":
		if len(b.cpu) == 0 {
			r.fail(n, "the book needs a table \"cpu\", from memory to vCPU")
		}
		return big.NewRat(1, 1000), "VCPU"
	case meter == meterMemory && what == "GiB":
		return big.NewRat(b.memory.step, 1<<30), "GiB"
	case meter == meterMemory && what == "GB":
		if gb <= 0 {
			r.fail(n, "the book must say what its GB is: \"gb\": \"1024MiB\" or \"1000MB\"")
			return nil, ""
		}
		return big.NewRat(b.memory.step, gb), focusGB(gb)
	}
	r.fail(n, "%s is measured in %s", meter, map[string]string{meterCPU: "vCPU", meterMemory: "GB or GiB"}[meter])
	return nil, ""
}

// focusGB returns the name in FOCUS for what a price list calls a GB.
func focusGB(gb int64) string {
	if gb == 1<<30 {
		return "GiB"
	}
	return "GB"
}

// timeUnit returns the length of a unit of time and its name in FOCUS, or 0 if there is no
// such unit.
func timeUnit(s string) (time.Duration, string) {
	switch s {
	case "ms":
		return time.Millisecond, "Milliseconds"
	case "s":
		return time.Second, "Seconds"
	case "min":
		return time.Minute, "Minutes"
	case "h":
		return time.Hour, "Hours"
	}
	return 0, ""
}

// quantity reads a quantity in the price's unit and returns it in billed units.
func (r *bookReader) quantity(n *node, p *price) *big.Int {
	if n == nil {
		return new(big.Int)
	}
	units := r.positive(n)
	units.Quo(units, p.base)
	if !units.IsInt() {
		r.fail(n, "is not a whole number of billed units, which are %s %s each", decimal(p.base), p.unit)
	}
	return new(big.Int).Set(units.Num())
}

// positive reads a decimal that is not negative. A JSON number is refused: tools that
// rewrite JSON round numbers.
func (r *bookReader) positive(n *node) *big.Rat {
	if n == nil {
		return new(big.Rat)
	}
	if n.kind == kindNumber {
		r.fail(n, "write it as a string, \"%.40s\", so that no tool rounds it", n.text)
		return new(big.Rat)
	}
	text := r.text(n)
	v, ok := parseRational(text)
	if text == "" {
		return new(big.Rat) // the mistake has been reported
	}
	if !ok || v.Sign() < 0 || !finite(v) {
		r.fail(n, "write a decimal, such as \"0.0000025\", that is not negative")
		return new(big.Rat)
	}
	return v
}

// time reads a duration that is not negative.
func (r *bookReader) time(n *node) time.Duration {
	if n == nil {
		return 0
	}
	text := r.text(n)
	if text == "" {
		return 0 // the mistake has been reported
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		r.fail(n, "write a duration, such as \"100ms\", that is not negative")
		return 0
	}
	return d
}

// size reads a number of bytes.
func (r *bookReader) size(n *node) int64 {
	if n == nil {
		return 0
	}
	text := r.text(n)
	if text == "" {
		return 0 // the mistake has been reported
	}
	digits := strings.TrimRight(text, "BKMGi")
	unit := map[string]int64{
		"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
	}[text[len(digits):]]
	size, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || unit == 0 || size < 0 || size > maxMemory/unit {
		r.fail(n, "write a size, such as \"128MiB\"")
		return 0
	}
	return size * unit
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// ParseBook reads a book from JSON, in the form that [Book] describes. Its error joins all
// mistakes, each a *[BookError].
func ParseBook(data []byte) (*Book, error) { return parseBook("", data) }

// LoadBook reads a book from a file.
func LoadBook(file string) (*Book, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cost: %w", err)
	}
	return parseBook(file, data)
}
