package faas

import "context"

// NoOutput makes a [Handler] of a func that returns only an error. The output for callers is
// struct{}, for which front doors send no body:
//
//	faas.Register(r, "mail", faas.NoOutput(sendMail)) // func sendMail(ctx context.Context, m Mail) error
//
// The function is then a *Function[In, struct{}], and [Lookup] needs those types. h gets
// the handler's context, and its error or panic is the handler's. If h is nil, NoOutput
// returns nil, for which [TryRegister] returns an error.
func NoOutput[In any](h func(ctx context.Context, in In) error) Handler[In, struct{}] {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, in In) (struct{}, error) { return struct{}{}, h(ctx, in) }
}

// NoInput makes a [Handler] of a func that takes only a context. Its input is struct{}, for
// which a payload may be empty. Otherwise it is like [NoOutput]:
//
//	faas.Register(r, "quote", faas.NoInput(quoteOfTheDay)) // func quoteOfTheDay(ctx context.Context) (string, error)
func NoInput[Out any](h func(ctx context.Context) (Out, error)) Handler[struct{}, Out] {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, _ struct{}) (Out, error) { return h(ctx) }
}

// NoInputOrOutput makes a [Handler] of a func that takes only a context and returns only
// an error, like [NoInput] and [NoOutput] together:
//
//	faas.Register(r, "sweep", faas.NoInputOrOutput(sweep)) // func sweep(ctx context.Context) error
func NoInputOrOutput(h func(ctx context.Context) error) Handler[struct{}, struct{}] {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, _ struct{}) (struct{}, error) { return struct{}{}, h(ctx) }
}
