package faascedar_test

import (
	"context"
	"fmt"
	"os"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/access/faascedar"
)

// Policies from files decide which principal may call which function.
func Example() {
	policies, err := faascedar.Load(os.DirFS("testdata"), "*.cedar")
	if err != nil {
		panic(err) // the error names file and line
	}
	r := faas.New(faas.WithGate(access.Authorizer(policies.Authorize, access.WithInline())))
	defer r.Close()
	checkout := faas.Register(r, "checkout", func(context.Context, string) (string, error) { return "sold", nil })

	for _, p := range []access.Principal{
		{Kind: access.User, ID: "ana", Roles: []string{"clerk"}},
		{Kind: access.User, ID: "bob"},
	} {
		out, err := checkout.Invoke(access.WithPrincipal(context.Background(), p), "cart 7")
		fmt.Printf("%q %v\n", out, err)
	}
	_, err = faascedar.Parse("shop.cedar", []byte("permit (principal, action, resource)\nwhen { context.tenat == \"acme\" };"))
	fmt.Println(err != nil)
	// Output:
	// "sold" <nil>
	// "" faas: invoke "checkout": denied to user "bob": no policy lets user "bob" call "checkout"
	// true
}
