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
)

// Pictures are as wide as a README shows them, at twice its resolution.
const (
	pictureWidth = 8.5 * vg.Inch
	pictureDPI   = 200
)

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
	for _, p := range []struct {
		path string
		draw func(*Results) ([]byte, error)
	}{{speedPicture, drawSpeed}, {accuracyPicture, drawAccuracy}} {
		png, err := p.draw(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(p.path)), png, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// drawSpeed draws a panel for each shape, in a row for each of two operations:
// a dot for each peer at its time per element, and a line at that of a copy.
func drawSpeed(r *Results) ([]byte, error) {
	const height = 5.6 * vg.Inch
	shapes := r.shapes()
	operations := []Op{LogSoftmaxRows, CrossEntropyGrad}
	var peers []string // from the bottom up
	for i := len(r.Peers) - 1; i >= 0; i-- {
		if p := r.Peers[i]; !p.Floor && p.Absent == "" {
			peers = append(peers, p.Name)
		}
	}
	least, most := math.Inf(1), 0.0
	for _, t := range r.Speed {
		if t.Threads == 1 {
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
