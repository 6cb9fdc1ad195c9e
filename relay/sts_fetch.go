package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"time"
)

// fetch gets a policy (RFC 8461 §3.3).
func (p *policies) fetch(ctx context.Context, domain string) (*policy, error) {
	ctx, cancel := context.WithTimeout(ctx, policyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return nil, err
	}
	client := *p.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	response, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New("the server answers " + response.Status)
	}
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return nil, fmt.Errorf("it is %q instead of text/plain", response.Header.Get("Content-Type"))
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxPolicy+1))
	if err != nil {
		return nil, err
	}
	return parsePolicy(string(text))
}

// policyClient fetches policies over the network that mail goes over, from
// public addresses only unless Config says otherwise.
func (c Config) policyClient() *http.Client {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		name, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		addrs, _, err := c.Resolver.LookupAddr(ctx, name)
		if err != nil {
			return nil, err
		}
		failed := fmt.Errorf("%s has no usable address", name)
		for _, a := range addrs[:min(len(addrs), maxAddresses)] {
			if !c.AllowPrivate && !isPublic(a) {
				continue
			}
			connecting, cancel := context.WithTimeout(ctx, policyTimeout/maxAddresses)
			conn, err := c.Dial(connecting, network, net.JoinHostPort(a.String(), port))
			cancel()
			if err == nil {
				return conn, nil
			}
			failed = err
		}
		return nil, failed
	}
	return &http.Client{Timeout: policyTimeout, Transport: &http.Transport{
		DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		DisableKeepAlives: true, TLSHandshakeTimeout: 20 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}}
}
