package sim

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// paint is a color as 0xRRGGBB.
type paint uint32

const (
	black  paint = 0x000000
	gray   paint = 0x969696
	blue   paint = 0x1f77b4
	red    paint = 0xd62728
	orange paint = 0xff7f0e
)

// RGBA implements color.Color.
func (p paint) RGBA() (r, g, b, a uint32) {
	return uint32(p>>16) & 0xff * 0x101, uint32(p>>8) & 0xff * 0x101, uint32(p) & 0xff * 0x101, 0xffff
}

// The measures of a drawing. Panels are stacked, and have the same width so that their
// time axes can be compared.
const (
	width       = 22 * vg.Centimeter
	panelHeight = 4.5 * vg.Centimeter
	frontHeight = 8 * vg.Centimeter
	keyHeight   = 0.7 * vg.Centimeter
	margin      = 0.4 * vg.Centimeter
)

// WriteSVG draws the report as an SVG. One plot shows the cost of each policy, in
// slot-seconds, against the p99 of the wait, with the policies on the front in color. Below
// it each policy has a timeline of demand, capacity and queue. Decisions are marked, at
// most one for each point of the timeline. It returns the errors of the writer and of the
// drawing.
func (r Report) WriteSVG(to io.Writer) error {
	front, err := r.drawFront()
	if err != nil {
		return err
	}
	panels := make([]*plot.Plot, len(r.Results))
	for i, x := range r.Results {
		if panels[i], err = x.draw(r.most()); err != nil {
			return err
		}
	}
	height := frontHeight + keyHeight + vg.Length(len(panels))*panelHeight
	svg := vgsvg.New(width, height)
	canvas := draw.New(svg)
	front.Draw(draw.Crop(canvas, margin, -margin, height-frontHeight, -margin))
	if len(panels) > 0 {
		drawKey(canvas, height-frontHeight)
	}
	for i, p := range panels {
		top := frontHeight + keyHeight + vg.Length(i)*panelHeight
		p.Draw(draw.Crop(canvas, margin, -margin, height-top-panelHeight, -top-margin))
	}
	_, err = svg.WriteTo(to)
	return err
}

// WriteSVG draws the timeline of one policy as an SVG.
func (x Result) WriteSVG(to io.Writer) error {
	p, err := x.draw(Report{Results: []Result{x}}.most())
	if err != nil {
		return err
	}
	const height = keyHeight + 2*panelHeight
	svg := vgsvg.New(width, height)
	canvas := draw.New(svg)
	drawKey(canvas, height)
	p.Draw(draw.Crop(canvas, margin, -margin, margin, -keyHeight-margin))
	_, err = svg.WriteTo(to)
	return err
}

// most returns the highest level of all timelines, which get the same scale by it.
func (r Report) most() int {
	most := 1
	for _, x := range r.Results {
		for _, p := range x.Timeline {
			most = max(most, p.Running+p.Waiting, p.Instances)
		}
	}
	return most
}

// drawFront returns the plot of cost and quality: a point for each policy. The best
// policies are near the origin, so both axes begin at 0.
func (r Report) drawFront() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%d calls of %d functions in %v: what is held, and who waits", r.Calls, r.Functions, r.Length)
	p.X.Label.Text = "slot-seconds held, thousands"
	p.Y.Label.Text = "p99 of the wait, seconds"
	p.X.Min, p.Y.Min = 0, 0
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{}, ticks{}
	p.Add(plotter.NewGrid())
	xMost, yMost := 0.0, 0.0
	var names names
	for _, x := range r.Results {
		at := plotter.XY{X: x.Held.Seconds() / 1000, Y: x.P99.Seconds()}
		dot, err := plotter.NewScatter(plotter.XYs{at})
		if err != nil {
			return nil, err
		}
		dot.GlyphStyle = draw.GlyphStyle{Color: gray, Radius: 5, Shape: draw.CircleGlyph{}}
		if r.OnFront(x.Policy) {
			dot.Color = blue
		}
		p.Add(dot)
		names.XYs, names.Labels = append(names.XYs, at), append(names.Labels, x.Policy)
		xMost, yMost = max(xMost, at.X), max(yMost, at.Y)
	}
	p.Add(names)
	p.X.Max, p.Y.Max = 1.15*max(xMost, 1), 1.15*max(yMost, 0.1) // room for the names
	return p, nil
}

// names draws the names of points. Each is placed beside its point, where it covers no
// other name or point.
type names plotter.XYLabels

// Plot implements plot.Plotter.
func (n names) Plot(c draw.Canvas, p *plot.Plot) {
	const radius = 6
	toX, toY := p.Transforms(&c)
	var dots []vg.Point
	var taken []vg.Rectangle
	for _, at := range n.XYs {
		dot := vg.Point{X: toX(at.X), Y: toY(at.Y)}
		dots = append(dots, dot)
		taken = append(taken, vg.Rectangle{
			Min: vg.Point{X: dot.X - radius, Y: dot.Y - radius},
			Max: vg.Point{X: dot.X + radius, Y: dot.Y + radius},
		})
	}
	style := textStyle(10)
	for i, name := range n.Labels {
		box := n.place(style.Rectangle(name).Size(), dots[i], c.Rectangle, taken)
		taken = append(taken, box)
		c.FillText(style, box.Min, name)
	}
}

// place returns the first free place for a name: right of its point, left, or above,
// higher and higher. If all are taken it returns the one on the right.
func (names) place(size, dot vg.Point, within vg.Rectangle, taken []vg.Rectangle) vg.Rectangle {
	size.X *= 1.15 // the reader's font may be wider
	at := func(x, y vg.Length) vg.Rectangle {
		low := vg.Point{X: dot.X + x, Y: dot.Y + y}
		return vg.Rectangle{Min: low, Max: low.Add(size)}
	}
	free := func(r vg.Rectangle) bool {
		return r.Min.X >= within.Min.X && !slices.ContainsFunc(taken, func(t vg.Rectangle) bool {
			return r.Min.X < t.Max.X && t.Min.X < r.Max.X && r.Min.Y < t.Max.Y && t.Min.Y < r.Max.Y
		})
	}
	right := at(8, 0)
	for _, r := range []vg.Rectangle{right, at(-8-size.X, 0), at(-size.X/2, 8), at(-size.X/2, 8+size.Y), at(-size.X/2, 8+2*size.Y)} {
		if free(r) {
			return r
		}
	}
	return right
}

func textStyle(size vg.Length) text.Style {
	return text.Style{Font: font.From(plot.DefaultFont, size), Handler: plot.DefaultTextHandler}
}

// levels are the lines of a timeline.
func levels() []level {
	return []level{
		{"capacity: instances", blue, func(p Point) int { return p.Instances }},
		{"demand: calls", black, func(p Point) int { return p.Running + p.Waiting }},
		{"queue: calls that wait", red, func(p Point) int { return p.Waiting }},
	}
}

// level is one line of a timeline and how to read its value off a point.
type level struct {
	name  string
	color color.Color
	of    func(Point) int
}

func (l level) style() draw.LineStyle { return draw.LineStyle{Color: l.color, Width: vg.Points(0.7)} }

func decisionStyle() draw.GlyphStyle {
	return draw.GlyphStyle{Color: orange, Radius: 2, Shape: stroke{}}
}

// drawKey draws the legend of the timelines in a row of its own, with its top at y:
// inside a timeline it would cover lines.
func drawKey(c draw.Canvas, y vg.Length) {
	var names []string
	var thumbs []plot.Thumbnailer
	for _, l := range levels() {
		names, thumbs = append(names, l.name), append(thumbs, &plotter.Line{LineStyle: l.style()})
	}
	names, thumbs = append(names, "decisions"), append(thumbs, &plotter.Scatter{GlyphStyle: decisionStyle()})
	for i, name := range names {
		key := plot.NewLegend()
		key.Top, key.Left, key.TextStyle = true, true, textStyle(9)
		key.Add(name, thumbs[i])
		column := (width - 2*margin) / vg.Length(len(names))
		key.Draw(draw.Crop(c, margin+vg.Length(i)*column, 0, 0, y-height(c)-margin/2))
	}
}

func height(c draw.Canvas) vg.Length { return c.Max.Y - c.Min.Y }

// draw returns the plot of one policy's timeline.
func (x Result) draw(most int) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s: %.0f slot-seconds", x.Policy, x.Held.Seconds())
	if x.Calls > 0 {
		p.Title.Text += fmt.Sprintf(", p99 of the wait %v", round(x.P99))
	}
	unit, name := x.unit()
	p.X.Label.Text, p.X.Min = name, 0
	p.Y.Min, p.Y.Max = 0, rug*float64(most)
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{}, ticks{}
	for _, l := range levels() {
		line, err := plotter.NewLine(x.line(unit, l.of))
		if err != nil {
			return nil, err
		}
		line.LineStyle, line.StepStyle = l.style(), plotter.PostStep
		p.Add(line)
	}
	marks, err := plotter.NewScatter(x.marks(unit, rug*float64(most)))
	if err != nil {
		return nil, err
	}
	marks.GlyphStyle = decisionStyle()
	p.Add(marks)
	return p, nil
}

// unit returns the unit of the time axis.
func (x Result) unit() (time.Duration, string) {
	if n := len(x.Timeline); n > 0 && x.Timeline[n-1].At >= 3*time.Minute {
		return time.Minute, "minutes"
	}
	return time.Second, "seconds"
}

// line returns one line of the timeline.
func (x Result) line(unit time.Duration, of func(Point) int) plotter.XYs {
	line := make(plotter.XYs, len(x.Timeline))
	for i, p := range x.Timeline {
		line[i] = plotter.XY{X: p.At.Seconds() / unit.Seconds(), Y: float64(of(p))}
	}
	return line
}

// marks returns the times of decisions, as points in a row above the lines. A policy may
// make thousands of decisions: one mark for each would make a file of megabytes, and marks
// closer than the timeline's points could not be told apart.
func (x Result) marks(unit time.Duration, y float64) plotter.XYs {
	var marks plotter.XYs
	last := -1
	for _, d := range x.Decisions {
		if i := x.index(d.At); i >= 0 && i != last {
			last = i
			marks = append(marks, plotter.XY{X: d.At.Seconds() / unit.Seconds(), Y: y})
		}
	}
	return marks
}

// rug is the height of that row, as a multiple of the highest level.
const rug = 1.08

// stroke draws a mark as a short vertical line.
type stroke struct{}

// DrawGlyph implements draw.GlyphDrawer.
func (stroke) DrawGlyph(c *draw.Canvas, g draw.GlyphStyle, at vg.Point) {
	c.SetLineStyle(draw.LineStyle{Color: g.Color, Width: vg.Points(0.5)})
	var p vg.Path
	p.Move(vg.Point{X: at.X, Y: at.Y - g.Radius})
	p.Line(vg.Point{X: at.X, Y: at.Y + g.Radius})
	c.Stroke(p)
}

// ticks are the default ones, with labels of at most six digits: the default labels show
// rounding errors of floats, for example 0.30000000000000004.
type ticks struct{}

// Ticks implements plot.Ticker.
func (ticks) Ticks(low, high float64) []plot.Tick {
	all := plot.DefaultTicks{}.Ticks(low, high)
	for i, t := range all {
		if t.Label != "" {
			all[i].Label = strconv.FormatFloat(t.Value, 'g', 6, 64)
		}
	}
	return all
}

// index returns the index of the first point of the timeline that is not before at, or
// -1 if there is none.
func (x Result) index(at time.Duration) int {
	n := len(x.Timeline)
	if n < 2 {
		return n - 1
	}
	step := x.Timeline[n-1].At / time.Duration(n-1)
	if step <= 0 {
		return n - 1
	}
	return min(n-1, int(math.Ceil(float64(at)/float64(step))))
}
