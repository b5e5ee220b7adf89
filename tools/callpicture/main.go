// Callpicture draws the path of one call through the router, as an SVG on standard output.
//
//	GOWORK=off go -C tools run ./callpicture > docs/img/invocation.svg
//
// Its test fails if the file in docs/img differs from what it draws.
package main

import (
	"fmt"
	"strings"
)

func main() { fmt.Print(draw()) }

// A station is a box that the call passes through.
type station struct {
	name, below string
	admitted    bool
}

// stations returns the stations in order. A call can be refused at each station before the
// one where it gets a slot.
func stations() []station {
	return []station{
		{name: "look-up", below: "not_found"},
		{name: "decode", below: "input, too_large"},
		{name: "gates", below: "denied, budget, …"},
		{name: "meters", below: "meter_full"},
		{name: "queue, slot", below: "overloaded, off, …"},
		{name: "worker", admitted: true},
		{name: "handler", admitted: true},
		{name: "settle", admitted: true},
		{name: "record", admitted: true},
		{name: "answer", admitted: true},
	}
}

const (
	boxWidth, boxHeight = 92, 40
	gap, left, top      = 14, 16, 64
)

// draw returns the SVG. Its colors are legible on white and on black.
func draw() string {
	var b strings.Builder
	all := stations()
	width := 2*left + len(all)*(boxWidth+gap) - gap
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d 236" font-family="system-ui, sans-serif" font-size="13">`+"\n", width)
	b.WriteString(`<title>What one call goes through</title>` + "\n")
	b.WriteString(`<style>.t{fill:#767b85}.r{fill:#c2410c}.a{fill:#15803d}.b{fill:none;stroke-width:1.5}.l{stroke:#767b85;stroke-width:1.5;fill:none}</style>` + "\n")
	b.WriteString(`<defs><marker id="e" markerWidth="8" markerHeight="8" refX="6" refY="4" orient="auto"><path d="M0 0L8 4L0 8z" fill="#767b85"/></marker></defs>` + "\n")
	split := left + 5*(boxWidth+gap) - gap/2
	text(&b, left, 24, "r", "start", "until it has a slot: it can only be refused, with a Reason and no record")
	text(&b, split+gap/2, 24, "a", "start", "from then on: it ends once, with one Outcome and one record")
	fmt.Fprintf(&b, `<path class="l" stroke-dasharray="4 4" d="M%d 36V220"/>`+"\n", split)
	for i, s := range all {
		box(&b, i, s)
	}
	deadline(&b)
	b.WriteString("</svg>\n")
	return b.String()
}

func box(b *strings.Builder, i int, s station) {
	x := left + i*(boxWidth+gap)
	color, class := "#c2410c", "r"
	if s.admitted {
		color, class = "#15803d", "a"
	}
	fmt.Fprintf(b, `<rect class="b" x="%d" y="%d" width="%d" height="%d" rx="6" stroke="%s"/>`+"\n", x, top, boxWidth, boxHeight, color)
	text(b, x+boxWidth/2, top+25, class, "middle", s.name)
	if i > 0 {
		fmt.Fprintf(b, `<path class="l" marker-end="url(#e)" d="M%d %dh%d"/>`+"\n", x-gap, top+boxHeight/2, gap-2)
	}
	if s.below != "" {
		fmt.Fprintf(b, `<path class="l" marker-end="url(#e)" d="M%d %dv24"/>`+"\n", x+boxWidth/2, top+boxHeight)
		fmt.Fprintf(b, `<g font-size="11">`)
		text(b, x+boxWidth/2, top+boxHeight+42, "t", "middle", s.below)
		b.WriteString("</g>\n")
	}
}

// deadline draws the events, other than the return of its handler, that can end a call.
func deadline(b *strings.Builder) {
	handler, settle := left+6*(boxWidth+gap)+boxWidth/2, left+7*(boxWidth+gap)+boxWidth/2
	y := top + boxHeight
	fmt.Fprintf(b, `<path class="l" marker-end="url(#e)" d="M%d %dV%d"/>`+"\n", settle, y+66, y+4)
	text(b, settle, y+84, "t", "middle", "the deadline, the caller's leaving and Close settle it too:")
	text(b, settle, y+102, "t", "middle", "the first of them and the handler's return decides, by one compare-and-swap")
	fmt.Fprintf(b, `<path class="l" stroke-dasharray="4 4" d="M%d %dv34"/>`+"\n", handler, y)
	fmt.Fprintf(b, `<g font-size="11">`)
	text(b, handler, y+46, "t", "middle", "runs on: a runaway")
	b.WriteString("</g>\n")
}

func text(b *strings.Builder, x, y int, class, anchor, s string) {
	fmt.Fprintf(b, `<text class="%s" x="%d" y="%d" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor, s)
}
