// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"cmp"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	pictureWidth  = 27 * vg.Centimeter
	pictureHeight = 11 * vg.Centimeter

	margin = vg.Length(8)

	worstColumns = 5
	worstRows    = 3
	textGap      = vg.Length(3) // points between a scan and the text below it
)

// pictureFormat returns the format that goes with the name of a picture file.
func pictureFormat(name string) (string, error) {
	format := strings.TrimPrefix(strings.ToLower(filepath.Ext(name)), ".")
	if !slices.Contains(draw.Formats(), format) {
		return "", fmt.Errorf("-plot %s: the name must end in one of .%s", name, strings.Join(draw.Formats(), " ."))
	}
	return format, nil
}

// checkPicture returns what would keep savePicture from writing the file. It
// leaves nothing behind.
func checkPicture(name string) error {
	if _, err := pictureFormat(name); err != nil {
		return err
	}
	_, missing := os.Stat(name)
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return fmt.Errorf("-plot: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("-plot: %w", err)
	}
	if missing != nil {
		return os.Remove(name)
	}
	return nil
}

// savePicture draws the learning curve and, beside it, the test scans that were
// read most wrongly.
func savePicture(name string, steps []step, test dataset, onTest evaluation) (err error) {
	format, err := pictureFormat(name)
	if err != nil {
		return err
	}
	canvas, err := draw.NewFormattedCanvas(pictureWidth, pictureHeight, format)
	if err != nil {
		return err
	}
	page := draw.New(canvas)
	page.SetColor(color.White)
	page.Fill(page.Path())
	page = draw.Crop(page, margin, -margin, margin, -margin)

	middle := page.X(0.42)
	if err := drawCurve(draw.Crop(page, 0, middle-page.Max.X, 0, 0), steps); err != nil {
		return err
	}
	if err := drawWorst(draw.Crop(page, middle+20-page.Min.X, 0, 0, 0), test, onTest); err != nil {
		return err
	}

	file, err := os.Create(name)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(file); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

// drawCurve draws the objective and the test loss against the iteration.
func drawCurve(c draw.Canvas, steps []step) error {
	var objective, testLoss plotter.XYs
	for _, s := range steps[1:] { // the axis is logarithmic, and the start is 0
		x := float64(s.iteration)
		objective = append(objective, plotter.XY{X: x, Y: s.objective})
		testLoss = append(testLoss, plotter.XY{X: x, Y: s.testLoss})
	}
	objectiveLine, err := plotter.NewLine(objective)
	if err != nil {
		return err
	}
	objectiveLine.Width = vg.Points(1.5)
	testLine, err := plotter.NewLine(testLoss)
	if err != nil {
		return err
	}
	testLine.Width = vg.Points(1.5)
	testLine.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
	testLine.Color = color.Gray{Y: 90}

	p := plot.New()
	p.Title.Text = "Learning curve"
	p.X.Label.Text = "L-BFGS iteration"
	p.X.Label.Padding = vg.Points(4)
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = plot.LogTicks{Prec: -1}
	p.Y.Label.Text = "nats per scan"
	p.Y.Min = 0
	p.Add(plotter.NewGrid(), objectiveLine, testLine)

	// Each line is labelled where it ends, the upper one from above.
	end := steps[len(steps)-1]
	x := float64(end.iteration)
	labels, err := plotter.NewLabels(plotter.XYLabels{
		XYs: plotter.XYs{{X: x, Y: end.objective}, {X: x, Y: end.testLoss}},
		Labels: []string{
			fmt.Sprintf("training loss + penalty: %.4f", end.objective),
			fmt.Sprintf("test loss: %.4f", end.testLoss),
		},
	})
	if err != nil {
		return err
	}
	above := 0
	if end.testLoss > end.objective {
		above = 1
	}
	for i := range labels.TextStyle {
		labels.TextStyle[i] = p.X.Tick.Label
		labels.TextStyle[i].Font.Size = vg.Points(11)
		labels.TextStyle[i].XAlign = draw.XRight
		labels.TextStyle[i].YAlign = -1.3 // below
	}
	labels.TextStyle[above].YAlign = 0.3
	p.Add(labels)
	p.Draw(c)
	return nil
}

// drawWorst draws the test scans taken for another digit, the largest loss
// first, as many as there is room for.
func drawWorst(c draw.Canvas, test dataset, onTest evaluation) error {
	var wrong []int // rows
	for i, label := range test.labels {
		if onTest.predicted[i] != label {
			wrong = append(wrong, i)
		}
	}
	slices.SortStableFunc(wrong, func(a, b int) int { return cmp.Compare(onTest.each[b], onTest.each[a]) })

	heading := plot.New().Title.TextStyle
	heading.YAlign = draw.YTop
	c.FillText(heading, vg.Point{X: c.Center().X, Y: c.Max.Y}, "Test scans taken for another digit, the largest loss first")

	tiles := draw.Tiles{Cols: worstColumns, Rows: worstRows, PadTop: 24, PadX: 14, PadY: 8}
	for i, row := range wrong[:min(worstColumns*worstRows, len(wrong))] {
		tile := tiles.At(c, i%worstColumns, i/worstColumns)
		text := fmt.Sprintf("%d taken for %d\nloss %.2f", test.labels[row], onTest.predicted[row], onTest.each[row])
		if err := drawScan(tile, scan(test.pixels.RawRowView(row)), text); err != nil {
			return err
		}
	}
	return nil
}

// drawScan draws one scan with two lines of text below it.
func drawScan(c draw.Canvas, s scan, text string) error {
	style := plot.New().X.Label.TextStyle
	style.Font.Size = vg.Points(10)
	style.YAlign = draw.YTop

	size := c.Size()
	edge := min(size.X, size.Y-style.Height(text)-textGap)
	left := (size.X - edge) / 2
	square := draw.Crop(c, left, -left, size.Y-edge, 0)
	c.FillText(style, vg.Point{X: c.Center().X, Y: square.Min.Y - textGap}, text)

	p := plot.New()
	p.HideAxes()
	p.X.Padding, p.Y.Padding = 0, 0
	pixels := plotter.NewHeatMap(s, greys{})
	pixels.Min, pixels.Max = 0, 1
	frame, err := plotter.NewPolygon(plotter.XYs{{X: 0, Y: 0}, {X: side, Y: 0}, {X: side, Y: side}, {X: 0, Y: side}})
	if err != nil {
		return err
	}
	frame.Color = nil
	frame.LineStyle.Color = color.Gray{Y: 128}
	p.Add(pixels, frame)
	p.Draw(square)
	return nil
}

// scan is the pixels of one scan, row by row from the top, as a plotter.GridXYZ,
// which counts its rows from the bottom.
type scan []float64

func (s scan) Dims() (columns, rows int) { return side, side }
func (s scan) X(column int) float64      { return float64(column) + 0.5 }
func (s scan) Y(row int) float64         { return float64(row) + 0.5 }
func (s scan) Z(column, row int) float64 { return s[(side-1-row)*side+column] }

// greys is a palette.Palette from white to black, with one grey for each value
// that a pixel can have.
type greys struct{}

func (greys) Colors() []color.Color {
	colors := make([]color.Color, ink+1)
	for i := range colors {
		colors[i] = color.Gray{Y: uint8(255 - 255*i/ink)}
	}
	return colors
}
