// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"example.org/logsoftmax/bench/internal/sweep"
)

// Pictures are as wide as a README shows them, at twice its resolution.
const (
	pictureWidth = 8.5 * vg.Inch
	pictureDPI   = 200
)

// The files of the pictures.
const (
	speedPicture    = "docs/speed.png"
	accuracyPicture = "docs/accuracy.png"
	sweepPicture    = "docs/sweep.png"
)

// pictureShapes are the panels of the picture of speed.
var pictureShapes = []Shape{{Rows: 4096, Cols: 10}, {Rows: 100000, Cols: 65}, {Rows: 1024, Cols: 1000}, {Rows: 4096, Cols: 4096}}

var (
	black = color.Gray{0}
	dark  = color.Gray{0x60}
	pale  = color.Gray{0xdd}
)

// writePictures draws the pictures into docs/ below dir.
func writePictures(dir string, r *Results) error {
	if err := os.MkdirAll(filepath.Join(dir, "docs"), 0o755); err != nil {
		return err
	}
	for _, p := range drawings {
		png, err := p.draw(r)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.FromSlash(p.path))
		if err := os.WriteFile(path, png, 0o644); err != nil {
			return err
		}
		fmt.Println("written:", path)
	}
	return nil
}

var drawings = []struct {
	path string
	draw func(*Results) ([]byte, error)
}{{speedPicture, drawSpeed}, {accuracyPicture, drawAccuracy}, {sweepPicture, drawSweep}}

// drawSpeed draws a panel for each shape, in a row for each of two operations:
// a dot for each peer at its time per element, and a line at that of a copy.
func drawSpeed(r *Results) ([]byte, error) {
	const height = 5.6 * vg.Inch
	operations := []Op{LogSoftmaxRows, CrossEntropyGrad}
	timed := r.shapes(CrossEntropyGrad, 1)
	shapes := slices.DeleteFunc(slices.Clone(pictureShapes), func(s Shape) bool { return !slices.Contains(timed, s) })
	shown := func(t Timing) bool {
		return t.Threads == 1 && slices.Contains(shapes, t.Shape) && slices.Contains(operations, t.Op)
	}
	var peers []string // from the bottom up
	for i := len(r.Peers) - 1; i >= 0; i-- {
		p := r.Peers[i]
		if !p.Floor && slices.ContainsFunc(r.Speed, func(t Timing) bool { return t.Peer == p.Name && shown(t) }) {
			peers = append(peers, p.Name)
		}
	}
	least, most := math.Inf(1), 0.0
	for _, t := range r.Speed {
		if shown(t) {
			least, most = min(least, t.Median), max(most, t.Median)
		}
	}
	panels := make([][]*plot.Plot, len(operations))
	for i, op := range operations {
		for j, s := range shapes {
			p, err := speedPanel(r, op, s, peers, j == 0)
			if err != nil {
				return nil, err
			}
			p.X.Min, p.X.Max = least/1.5, most*5 // room for the figures
			panels[i] = append(panels[i], p)
		}
	}
	img := vgimg.NewWith(vgimg.UseWH(pictureWidth, height), vgimg.UseDPI(pictureDPI), vgimg.UseBackgroundColor(color.White))
	canvas := draw.New(img)
	band := (height - 6) / vg.Length(len(operations))
	for i, op := range operations {
		top := height - 4 - vg.Length(i)*band
		caption(canvas, vg.Point{X: 6, Y: top - 12}, text.XLeft, black, string(op)+", ns per element")
		if i == 0 {
			caption(canvas, vg.Point{X: pictureWidth - 6, Y: top - 12}, text.XRight, dark,
				"one thread, logarithmic scale, dashed: copying the matrix")
		}
		area := draw.Canvas{Canvas: canvas.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: 4, Y: top - band + 6}, Max: vg.Point{X: pictureWidth - 6, Y: top - 30},
		}}
		tiles := draw.Tiles{Rows: 1, Cols: len(shapes), PadX: 5}
		for j, c := range plot.Align(panels[i:i+1], tiles, area)[0] {
			panels[i][j].Draw(c)
			data := panels[i][j].DataCanvas(c)
			caption(canvas, vg.Point{X: data.Center().X, Y: top - 27}, text.XCenter, black, shapes[j].String())
		}
	}
	return encode(img)
}

func speedPanel(r *Results, op Op, s Shape, peers []string, named bool) (*plot.Plot, error) {
	p := newPlot()
	names := slices.Clone(peers)
	if !named {
		for i := range names {
			names[i] = " " // a tick without any label is a minor one, and has no grid line
		}
	}
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = decades{}
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.7, float64(len(peers))-0.3
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = pale, pale
	p.Add(grid)
	if c := r.find(LogSoftmaxRows, s, 1, "copy"); c != nil {
		line, err := plotter.NewLine(plotter.XYs{{X: c.Median, Y: p.Y.Min}, {X: c.Median, Y: p.Y.Max}})
		if err != nil {
			return nil, err
		}
		line.Dashes = []vg.Length{3, 2}
		line.Color = black
		p.Add(line)
	}
	var own, others plotter.XYs
	labels := plotter.XYLabels{}
	for i, name := range peers {
		t := r.find(op, s, 1, name)
		if t == nil {
			continue
		}
		at := plotter.XY{X: t.Median, Y: float64(i)}
		if name == ownName {
			own = append(own, at)
		} else {
			others = append(others, at)
		}
		labels.XYs = append(labels.XYs, at)
		labels.Labels = append(labels.Labels, decimals(t.Median))
	}
	for _, dots := range []struct {
		at    plotter.XYs
		glyph draw.GlyphDrawer
	}{{own, draw.CircleGlyph{}}, {others, draw.RingGlyph{}}} {
		if len(dots.at) == 0 {
			continue
		}
		scatter, err := plotter.NewScatter(dots.at)
		if err != nil {
			return nil, err
		}
		scatter.GlyphStyle = draw.GlyphStyle{Color: black, Radius: 3, Shape: dots.glyph}
		p.Add(scatter)
	}
	if len(labels.XYs) > 0 {
		l, err := plotter.NewLabels(labels)
		if err != nil {
			return nil, err
		}
		for i := range l.TextStyle {
			l.TextStyle[i] = textStyle(8, black)
			l.TextStyle[i].YAlign = text.YCenter
		}
		l.Offset = vg.Point{X: 5, Y: 1}
		p.Add(l)
	}
	return p, nil
}

// drawAccuracy draws the error of a confident row's loss by the gap between
// its largest logit and the next.
func drawAccuracy(r *Results) ([]byte, error) {
	const height = 4.2 * vg.Inch
	const floor, ceiling = 0.1, 1e17
	p := newPlot()
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Min, p.X.Max = 1, 720
	p.Y.Min, p.Y.Max = floor, ceiling
	p.X.Tick.Marker = ticks(1, 2, 5, 10, 20, 50, 100, 200, 500)
	p.Y.Tick.Marker = ticks(0.1, 1, 10, 1e3, 1e6, 1e9, 1e12, 1e15)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = pale, pale
	p.Add(grid)
	p.Legend.Left = true
	p.Legend.TextStyle = textStyle(9, black)
	p.Legend.Padding = 2
	p.Legend.XOffs, p.Legend.YOffs = 340, 70 // in the empty corner

	shapes := []draw.GlyphDrawer{draw.RingGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.PlusGlyph{}, draw.CrossGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.CircleGlyph{}}
	k := 0
	for _, peer := range r.Peers {
		var xys plotter.XYs
		for _, g := range r.Gaps {
			if g.Peer == peer.Name && g.ULP >= 0 {
				xys = append(xys, plotter.XY{X: g.Gap, Y: max(floor, float64(g.ULP))})
			}
		}
		if len(xys) == 0 {
			continue
		}
		line, points, err := plotter.NewLinePoints(xys)
		if err != nil {
			return nil, err
		}
		points.GlyphStyle = draw.GlyphStyle{Color: dark, Radius: 2.5, Shape: shapes[k%len(shapes)]}
		line.LineStyle = draw.LineStyle{Color: dark, Width: 0.6}
		if peer.Name == ownName {
			line.LineStyle = draw.LineStyle{Color: black, Width: 2}
			p.Add(line)
			p.Legend.Add(peer.Name, line)
			continue
		}
		k++
		p.Add(line, points)
		p.Legend.Add(peer.Name, line, points)
	}
	img := vgimg.NewWith(vgimg.UseWH(pictureWidth, height), vgimg.UseDPI(pictureDPI), vgimg.UseBackgroundColor(color.White))
	c := draw.New(img)
	p.Draw(draw.Crop(c, 4, -10, 18, -24))
	caption(c, vg.Point{X: 6, Y: height - 14}, text.XLeft, black, "Largest error of the loss of a confident row, in ulp")
	caption(c, vg.Point{X: pictureWidth - 10, Y: height - 14}, text.XRight, dark, "top: the loss comes out as 0, no digit is right")
	caption(c, vg.Point{X: pictureWidth - 10, Y: 6}, text.XRight, black, "how far the largest logit is ahead of the next")
	return encode(img)
}

// drawSweep draws a heat map for each size: widths across, jobs down, and in each
// cell how many times as fast as the loop it is.
func drawSweep(r *Results) ([]byte, error) {
	cells := r.cells()
	var sizes, widths []int
	for _, c := range cells {
		if c.Size == sweep.Small || c.Layout != sweep.Dense {
			continue
		}
		if !slices.Contains(sizes, c.Size) {
			sizes = append(sizes, c.Size)
		}
		if !slices.Contains(widths, c.Cols) {
			widths = append(widths, c.Cols)
		}
	}
	const cell, left, head, foot = 13, 142, 34, 16
	panel := vg.Length(len(sweep.Jobs)*cell + head)
	height := panel*vg.Length(len(sizes)) + foot
	img := vgimg.NewWith(vgimg.UseWH(pictureWidth, height), vgimg.UseDPI(pictureDPI), vgimg.UseBackgroundColor(color.White))
	canvas := draw.New(img)
	step := (pictureWidth - left - 6) / vg.Length(max(1, len(widths)))
	for k, size := range sizes {
		top := height - vg.Length(k)*panel
		caption(canvas, vg.Point{X: 6, Y: top - 14}, text.XLeft, black, fmt.Sprintf("matrices of %d elements", size))
		if k == 0 {
			caption(canvas, vg.Point{X: pictureWidth - 6, Y: top - 14}, text.XRight, dark, "times as fast as the plain loop of the same job, by number of classes")
		}
		for i, w := range widths {
			small(canvas, vg.Point{X: left + (vg.Length(i)+0.5)*step, Y: top - 30}, text.XCenter, short4(w))
		}
		for i, j := range sweep.Jobs {
			y := top - head - vg.Length(i+1)*cell
			small(canvas, vg.Point{X: left - 4, Y: y + 3.5}, text.XRight, j.Name)
			for _, c := range cells {
				if c.Job != j.Name || c.Size != size || c.Layout != sweep.Dense {
					continue
				}
				x := left + vg.Length(slices.Index(widths, c.Cols))*step
				box := vg.Rectangle{Min: vg.Point{X: x, Y: y}, Max: vg.Point{X: x + step - 0.6, Y: y + cell - 0.6}}
				canvas.SetColor(heat(c.Ratio(), c.Floor()))
				canvas.Fill(box.Path())
				small(canvas, vg.Point{X: box.Min.X + step/2, Y: y + 3.5}, text.XCenter, fmt.Sprintf("%.*f", map[bool]int{true: 1, false: 0}[c.Ratio() < 9.95], c.Ratio()))
			}
		}
	}
	caption(canvas, vg.Point{X: 6, Y: 4}, text.XLeft, dark,
		fmt.Sprintf("blue: above the aim (%g times; %g with options; %g where numbers are only added up), orange: below", sweep.PlainFloor, sweep.OptionFloor, sweep.SmallFloor))
	return encode(img)
}

// heat is the colour of a ratio beside its floor: white there, blue at four times
// of it, orange at a quarter.
func heat(ratio, floor float64) color.Color {
	t := math.Log(ratio/floor) / math.Log(4)
	shade := func(r, g, b float64) color.Color {
		s := math.Min(1, math.Abs(t))
		mix := func(c float64) uint8 { return uint8(255 - s*(255-c)) }
		return color.RGBA{mix(r), mix(g), mix(b), 255}
	}
	if t < 0 {
		return shade(230, 110, 20)
	}
	return shade(90, 150, 220)
}

// short4 writes a number of classes in at most four characters.
func short4(n int) string {
	if n >= 10000 {
		return fmt.Sprintf("%.0fk", float64(n)/1000)
	}
	return strconv.Itoa(n)
}

// small writes a line of small text.
func small(c draw.Canvas, at vg.Point, align text.XAlignment, s string) {
	style := textStyle(6, black)
	style.XAlign = align
	c.FillText(style, at, s)
}

// caption writes a line of text. It stands for titles and labels of axes, for
// which gonum/plot leaves too much room where an axis is logarithmic.
func caption(c draw.Canvas, at vg.Point, align text.XAlignment, ink color.Color, s string) {
	style := textStyle(9.5, ink)
	style.XAlign = align
	c.FillText(style, at, s)
}

func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.White
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font = sans(9)
		axis.Tick.Label.Font = sans(9)
		axis.Color, axis.Tick.Color = dark, dark
	}
	return p
}

func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

func textStyle(size vg.Length, c color.Color) text.Style {
	return text.Style{Color: c, Font: sans(size), Handler: plot.DefaultTextHandler}
}

func encode(img *vgimg.Canvas) ([]byte, error) {
	var b bytes.Buffer
	_, err := vgimg.PngCanvas{Canvas: img}.WriteTo(&b)
	return b.Bytes(), err
}

// ticks returns labelled ticks at the values.
func ticks(values ...float64) plot.ConstantTicks {
	var t plot.ConstantTicks
	for _, v := range values {
		t = append(t, plot.Tick{Value: v, Label: tickLabel(v)})
	}
	return t
}

func tickLabel(x float64) string {
	if x > 1e4 {
		return fmt.Sprintf("1e%.0f", math.Log10(x))
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

// decades ticks a logarithmic axis, with labels at powers of ten.
type decades struct{}

func (decades) Ticks(least, most float64) []plot.Tick {
	var t []plot.Tick
	for e := math.Floor(math.Log10(least)); math.Pow(10, e) <= most; e++ {
		d := math.Pow(10, e)
		for k := 1.0; k < 10; k++ {
			tick := plot.Tick{Value: k * d}
			if k == 1 {
				tick.Label = tickLabel(d)
			}
			if least <= tick.Value && tick.Value <= most {
				t = append(t, tick)
			}
		}
	}
	return t
}
