package faas

import "context"

// NoOutput makes a [Handler] of a func that answers nothing but an error. Callers
// get struct{}, which front doors answer as nothing:
//
//	faas.Register(r, "mail", faas.NoOutput(sendMail)) // func sendMail(ctx context.Context, m Mail) error
//
// The handle is a *Function[In, struct{}], and [Lookup] asks for those types. h is
// called as a Handler is, and its error, its panic and its context are those of the
// call. For nil it returns nil, which [TryRegister] names as a mistake.
func NoOutput[In any](h func(ctx context.Context, in In) error) Handler[In, struct{}] {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, in In) (struct{}, error) { return struct{}{}, h(ctx, in) }
}

// NoInput makes a [Handler] of a func that takes nothing but a context; otherwise it
// is as [NoOutput]. Its input is struct{}, for which a payload may be empty:
//
//	faas.Register(r, "quote", faas.NoInput(quoteOfTheDay)) // func quoteOfTheDay(ctx context.Context) (string, error)
func NoInput[Out any](h func(ctx context.Context) (Out, error)) Handler[struct{}, Out] {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, _ struct{}) (Out, error) { return h(ctx) }
}

// NoInputOrOutput is [NoInput] and [NoOutput] at once:
//
//	faas.Register(r, "sweep", faas.NoInputOrOutput(sweep)) // func sweep(ctx context.Context) error
func NoInputOrOutput(h func(ctx context.Context) error) Handler[struct{}, struct{}] {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, _ struct{}) (struct{}, error) { return struct{}{}, h(ctx) }
}
