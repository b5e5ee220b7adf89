package pattern_test

import (
	"fmt"

	"github.com/inproc/faas/trigger/pattern"
)

func ExampleCompile() {
	p, err := pattern.Compile(`{"shop": [{"prefix": "eu-"}], "total": [{"numeric": [">", 100]}]}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.MatchJSON([]byte(`{"shop": "eu-7", "total": 120}`)))
	fmt.Println(p.MatchJSON([]byte(`{"shop": "us-1", "total": 120}`)))

	_, err = pattern.Compile(`{"total": [{"numeric": [">", "100"]}]}`)
	fmt.Println(err)
	// Output:
	// true <nil>
	// false <nil>
	// pattern: /total/0/numeric/1: this must be a number, and is the text "100"
}
