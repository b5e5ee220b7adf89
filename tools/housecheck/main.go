// Housecheck measures the layout of a workspace by means of go/types: which files of a
// package use which others, how long files and functions are, how many comments there are,
// and how many words for people are in them.
//
//	GOWORK=off go -C tools run ./housecheck ..             prints a line for each package
//	GOWORK=off go -C tools run ./housecheck -check ..      prints what is over its bound, and fails
//	GOWORK=off go -C tools run ./housecheck -why github.com/inproc/faas ..   prints the arrows of a package
//
// An arrow leads from one file of a package to another that declares an identifier which the
// first file uses: a function, a type, a field, a method, a constant. A pair is two files
// with an arrow each way. A circle is a set of files that all reach each other along arrows;
// the largest is shown. Test files are left out. The fewer arrows, pairs and circles a
// package has, the easier it is to read one file alone.
package main

import (
	"flag"
	"fmt"
	"os"
)

// The bounds of -check.
const (
	maxFile   = 500 // lines of a source file
	maxP90    = 20  // lines of the 90th percentile of functions, over all packages
	maxCircle = 15  // files of the largest circle of a package
	maxPeople = 0.3 // words for people in 100 lines of comments, over all files, including tests
)

// maxPairs returns the largest number of pairs that -check allows, for the packages that have
// such a bound. A number is lowered when pairs are removed, and never raised: a new pair
// requires that an old one goes.
func maxPairs() map[string]int {
	return map[string]int{"github.com/inproc/faas": 7}
}

func main() {
	check := flag.Bool("check", false, "fail if a bound is passed")
	why := flag.String("why", "", "print the arrows of the `package` and the names that make them")
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	packages, err := load(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "housecheck:", err)
		os.Exit(1)
	}
	for _, h := range packages {
		if h.path == *why {
			h.explain(os.Stdout)
			return
		}
	}
	people, err := readComments(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "housecheck:", err)
		os.Exit(1)
	}
	if !*check {
		report(os.Stdout, packages, people)
		return
	}
	if found := excess(packages, people, maxPairs()); len(found) > 0 {
		for _, f := range found {
			fmt.Fprintln(os.Stderr, f)
		}
		os.Exit(1)
	}
}
