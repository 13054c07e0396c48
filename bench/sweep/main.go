// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Command sweep times package logsoftmax along 32 widths, in three sizes, with
// every option and layout and in small calls, each time beside the plain loop
// that does the same, and prints the cells that miss an aim: slower than a floor
// beside the loop, an option or layout that costs too much, a step from one width
// to the next, a second processor that gains too little.
//
//	go -C bench run ./sweep                                   everything, some six minutes
//	go -C bench run ./sweep -jobs Grad -widths 64,65 -sizes 131072 -layouts dense
//	go -C bench run ./sweep -sizes small                      the small calls
//	go -C bench run ./sweep -save before.json …               then, after a change,
//	go -C bench run ./sweep -against before.json …            what became slower or faster
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"example.org/logsoftmax/bench/internal/sweep"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("sweep: ")
	jobs := flag.String("jobs", "", "regular expression: only the jobs it matches")
	widths := flag.String("widths", "", "numbers of classes, with commas; all by default")
	sizes := flag.String("sizes", "", "numbers of elements, with commas, \"small\" for small calls; all by default")
	layouts := flag.String("layouts", "", "names of layouts, with commas; all by default")
	samples := flag.Int("samples", 5, "samples of which the fastest counts")
	threads := flag.Int("threads", runtime.NumCPU(), "threads for the gain by more than one, beside that of bare goroutines; 1: none")
	list := flag.Int("list", 40, "findings to print of each kind")
	save := flag.String("save", "", "file to write the cells to")
	against := flag.String("against", "", "file of an earlier run: prints what differs by 10 % or more")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("argument %q: there are flags only, see -help", flag.Arg(0))
	}
	c := &sweep.Config{Samples: *samples, Threads: *threads}
	if err := configure(c, *jobs, *widths, *sizes, *layouts); err != nil {
		log.Fatal(err)
	}
	var cells []sweep.Cell
	sweep.Run(c, func(cell sweep.Cell) { cells = append(cells, cell) })
	if err := print(cells, *list, *save, *against); err != nil {
		log.Fatal(err)
	}
}

// configure fills in what to sweep from the flags.
func configure(c *sweep.Config, jobs, widths, sizes, layouts string) error {
	re, err := regexp.Compile(jobs)
	if err != nil {
		return err
	}
	for _, j := range sweep.Jobs {
		if re.MatchString(j.Name) {
			c.Jobs = append(c.Jobs, j)
		}
	}
	if len(c.Jobs) == 0 {
		return fmt.Errorf("no job matches %q", jobs)
	}
	c.Widths = sweep.Widths
	if widths != "" {
		if c.Widths, err = numbers(widths); err != nil {
			return err
		}
	}
	c.Sizes = append([]int{sweep.Small}, sweep.Sizes...)
	if sizes != "" {
		if c.Sizes, err = numbers(strings.ReplaceAll(sizes, "small", strconv.Itoa(sweep.Small))); err != nil {
			return err
		}
	}
	all := append([]sweep.Layout{sweep.Dense}, sweep.Layouts...)
	c.Layouts = all
	if layouts != "" {
		c.Layouts = nil
		for _, l := range strings.Split(layouts, ",") {
			if !slices.Contains(all, sweep.Layout(l)) {
				return fmt.Errorf("layout %q: there are %q", l, all)
			}
			c.Layouts = append(c.Layouts, sweep.Layout(l))
		}
	}
	return nil
}

func numbers(s string) ([]int, error) {
	var list []int
	for _, f := range strings.Split(s, ",") {
		n, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

// print writes the tables, what misses an aim, and what differs from an earlier
// run.
func print(cells []sweep.Cell, most int, save, against string) error {
	if err := sweep.WriteTables(os.Stdout, cells); err != nil {
		return err
	}
	for i, list := range sweep.Findings(cells) {
		fmt.Printf("\n%d of %d cells: %s\n", len(list), len(cells), sweep.Aims[i])
		for _, f := range list[:min(most, len(list))] {
			fmt.Printf("  %-70s %s\n", &f.Cell, f.What)
		}
	}
	if against != "" {
		if err := compare(cells, against); err != nil {
			return err
		}
	}
	if save == "" {
		return nil
	}
	b, err := json.Marshal(cells)
	if err != nil {
		return err
	}
	return os.WriteFile(save, b, 0o644)
}

// compare prints the cells whose time differs from that of an earlier run. A
// machine that has become slower as a whole makes the loops slower too, so that
// the times are taken relative to them.
func compare(cells []sweep.Cell, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var earlier []sweep.Cell
	if err := json.Unmarshal(b, &earlier); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	before := make(map[string]sweep.Cell)
	for _, c := range earlier {
		before[c.String()] = c
	}
	fmt.Printf("\nAgainst %s: time, time before, ratio, the same by the loops\n", path)
	for _, c := range cells {
		b, ok := before[c.String()]
		if !ok {
			continue
		}
		if r := c.Ours / b.Ours; r > 1.1 || r < 1/1.1 {
			fmt.Printf("  %-70s %8.2f %8.2f  %.2f  %.2f\n", &c, c.Ours, b.Ours, r, b.Ratio()/c.Ratio())
		}
	}
	return nil
}
