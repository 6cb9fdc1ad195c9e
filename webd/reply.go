package webd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/yubin-mail/yubin/internal/auth"
	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/store"
)

// problem is an answer that is not what was asked for: a status and the
// words for it, a key of the catalogue.
type problem struct {
	status int
	key    string
}

func (p *problem) Error() string { return p.key }

// What we say ourselves.
var (
	errNotFound  = &problem{http.StatusNotFound, "error.not-found"}
	errHost      = &problem{http.StatusMisdirectedRequest, "error.host"}
	errOrigin    = &problem{http.StatusForbidden, "error.origin"}
	errLoggedOut = &problem{http.StatusUnauthorized, "error.logged-out"}
	errOtherUser = &problem{http.StatusConflict, "error.other-user"}
	errToken     = &problem{http.StatusForbidden, "error.token"}
	errForm      = &problem{http.StatusBadRequest, "error.form"}
	errUpload    = &problem{http.StatusRequestEntityTooLarge, "error.too-large"}
	errNotYours  = &problem{http.StatusForbidden, "error.not-yours"}
	errInternal  = &problem{http.StatusInternalServerError, "error.internal"}
)

// replies are what the errors of others mean to a person with a browser.
var replies = []struct {
	err   error
	reply *problem
}{
	{store.ErrBadCredentials, &problem{http.StatusUnauthorized, "error.credentials"}},
	{auth.ErrThrottled, &problem{http.StatusTooManyRequests, "error.throttled"}},
	{auth.ErrSpent, &problem{http.StatusTooManyRequests, "error.allowance"}},
	{store.ErrNoSuchUser, &problem{http.StatusUnprocessableEntity, "error.no-such-user"}},
	{store.ErrUserExists, errUserExists},
	{store.ErrNotLocal, &problem{http.StatusUnprocessableEntity, "error.no-relay"}},
	{store.ErrBadDomain, &problem{http.StatusUnprocessableEntity, "error.bad-domain"}},
	{store.ErrBadAddress, &problem{http.StatusUnprocessableEntity, "error.bad-address"}},
	{store.ErrOverQuota, &problem{http.StatusInsufficientStorage, "error.quota"}},
	{store.ErrTooLarge, errUpload},
	{store.ErrNoSuchMailbox, &problem{http.StatusNotFound, "error.no-folder"}},
	{store.ErrMailboxExists, &problem{http.StatusConflict, "error.folder-exists"}},
	{store.ErrBadMailboxName, &problem{http.StatusUnprocessableEntity, "error.folder-name"}},
	{store.ErrHasChildren, &problem{http.StatusConflict, "error.folder-children"}},
	{store.ErrExpunged, &problem{http.StatusNotFound, "error.expunged"}},
	{store.ErrLimit, &problem{http.StatusUnprocessableEntity, "error.limit"}},
	{store.ErrNotCanonical, errForm},
	{message.ErrNotCanonical, errForm},
	{message.ErrLineTooLong, errForm},
	{store.ErrFull, &problem{http.StatusInsufficientStorage, "error.full"}},
	{context.DeadlineExceeded, &problem{http.StatusServiceUnavailable, "error.too-slow"}}, // a search
	{store.ErrClosed, &problem{http.StatusServiceUnavailable, "error.internal"}},
}

// replyTo turns any error into a problem. The text of an error that is not
// one of ours goes to the log, with known false, and nowhere else.
func replyTo(err error) (p *problem, known bool) {
	if errors.As(err, &p) {
		return p, true
	}
	for _, r := range replies {
		if errors.Is(err, r.err) {
			return r.reply, true
		}
	}
	return errInternal, false
}

// attempt serves, and makes an error of a panic: the library would cut the
// connection and tell a log for which it is one line among the noise.
func (v *visit) attempt(serve func(*visit) error) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return serve(v)
}

// finish answers a request that has ended with err.
func (v *visit) finish(err error) {
	if err == nil {
		return
	}
	p, known := replyTo(err)
	if !known && v.Context().Err() == nil {
		v.log().Error("failed", "err", err)
	}
	if v.answered {
		return // a stream or a download has broken off
	}
	if strings.HasPrefix(v.URL.Path, "/api/") {
		v.problemJSON(p, err)
		return
	}
	v.status = p.status
	if v.wantsJSON() {
		v.json(map[string]string{"error": v.T(p.key)})
		return
	}
	if v.Method != http.MethodGet && v.Method != http.MethodHead {
		v.at = v.cameFrom()
	}
	if err := v.render("problem", v.T("title.problem"), p); err != nil {
		v.log().Error("failed", "doing", "render a problem", "err", err)
	}
}
