package main

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/yubin-mail/yubin/internal/mailauth"
	"github.com/yubin-mail/yubin/internal/message"
	"github.com/yubin-mail/yubin/lab"
	"github.com/yubin-mail/yubin/relay"
	"github.com/yubin-mail/yubin/store"
)

// twoServersName is what the play is called by.
const twoServersName = "two-servers"

var (
	twoServersTitle = lab.Words{EN: "Two servers, alpha.test and beta.test, hand mail to each other", JA: "alpha.test と beta.test、2台のサーバーがメールを渡し合います"}
	twoServersGood  = lab.Words{EN: "Every statement agrees with what was recorded.", JA: "すべての説明が記録と一致しました。"}
	twoServersBad   = lab.Words{EN: "%d statements contradict what was recorded", JA: "%d件の説明が記録と食い違いました"}
)

// act is one thing that happens between the servers. Its statements are made
// of what was recorded, and none of what was hoped for.
type act struct {
	title lab.Words
	play  func(context.Context, *twoServers) error
}

var twoServersActs = []act{
	{lab.Words{EN: "Alice writes to Bob, who has two devices and answers", JA: "アリスがボブに書き、2台の機器を持つボブが返事をします"}, writeAndAnswer},
	{lab.Words{EN: "Alice writes to somebody whom beta does not know", JA: "アリスが、beta にいない人に書きます"}, unknownUser},
	{lab.Words{EN: "Beta is down; hours pass; beta is back", JA: "beta が止まり、数時間が過ぎ、beta が戻ります"}, betaDown},
	{lab.Words{EN: "Beta loses its certificate; its policy asks for one", JA: "beta が証明書を失います。beta の方針は証明書を求めています"}, breakTLS},
	{lab.Words{EN: "Alpha's SPF record is broken", JA: "alpha の SPF レコードが壊れます"}, breakSPF},
	{lab.Words{EN: "Alpha changes its DKIM keys", JA: "alpha が DKIM の鍵を替えます"}, rotateDKIM},
	{lab.Words{EN: "Bob's mailbox is full", JA: "ボブのメールボックスがいっぱいです"}, userFull},
}

// results are the lines of a mail's Authentication-Results.
func results(mail string) string {
	header, _, _ := strings.Cut(mail, "\r\n\r\n")
	return strings.Join(message.Field([]byte(header+"\r\n\r\n"), "Authentication-Results"), "\n")
}

func one(mails []string) string {
	if len(mails) != 1 {
		return ""
	}
	return mails[0]
}

// picked are the words of a mail's results that a statement is about.
func picked(results string, names ...string) string {
	var out []string
	for _, word := range strings.FieldsFunc(results, func(r rune) bool { return strings.ContainsRune("; \r\n\t", r) }) {
		for _, n := range names {
			if strings.HasPrefix(word, n+"=") {
				out = append(out, word)
			}
		}
	}
	return strings.Join(out, " ")
}

// brought sends a mail from Alice to Bob, and returns what Bob has of it.
func (s *twoServers) brought(ctx context.Context, subject lab.Words) (fresh []string, o relay.Outcome, err error) {
	before, err := s.beta.byIMAP(ctx)
	if err == nil {
		err = s.alpha.write(ctx, s.beta.user, subject)
	}
	if err == nil {
		o, err = s.outcome(ctx)
	}
	if err != nil {
		return nil, o, err
	}
	after, err := s.beta.byIMAP(ctx)
	return since(before, after), o, err
}

func writeAndAnswer(ctx context.Context, s *twoServers) error {
	byIMAP, o, err := s.brought(ctx, lab.Words{EN: "Hello Bob", JA: "ボブさんへ"})
	if err != nil {
		return err
	}
	byPOP3, err := s.beta.byPOP3(ctx)
	if err != nil {
		return err
	}
	s.state(lab.Words{EN: "Alpha handed the mail to beta, over TLS.", JA: "alpha は TLS でメールを beta に渡しました。"}, o.Event == relay.Delivered && o.TLS != "", o.Event, o.Host, o.TLS)
	s.state(lab.Words{EN: "It had fetched beta's policy (MTA-STS), and verified beta's certificate as that asks.", JA: "その前に beta の方針 (MTA-STS) を取得し、求められたとおり beta の証明書を確かめました。"}, o.Proven && s.zone.Asked(policyHost("beta.test")) > 0, policyHost("beta.test"))
	s.state(lab.Words{EN: "Bob's IMAP device shows it, once.", JA: "ボブの IMAP の機器に、1通だけ届いています。"}, len(byIMAP) == 1)
	s.state(lab.Words{EN: "His POP3 device fetched the same octets.", JA: "POP3 の機器も、同じ内容を受け取りました。"}, len(byPOP3) == 1 && one(byPOP3) == one(byIMAP))
	r := results(one(byIMAP))
	s.state(lab.Words{EN: "Beta found that alpha stands behind it: SPF, DKIM and DMARC pass.", JA: "beta は、alpha からのメールだと確かめました(SPF、DKIM、DMARC が pass)。"},
		strings.Contains(r, "spf=pass") && strings.Contains(r, "dkim=pass") && strings.Contains(r, "dmarc=pass"), picked(r, "spf", "dkim", "dmarc"))
	if err := s.beta.write(ctx, s.alpha.user, lab.Words{EN: "Re: Hello Bob", JA: "Re: ボブさんへ"}); err != nil {
		return err
	}
	if o, err = s.outcome(ctx); err != nil {
		return err
	}
	answers, err := s.alpha.byIMAP(ctx)
	s.state(lab.Words{EN: "Bob's answer is in Alice's inbox, once.", JA: "ボブの返事は、アリスの受信箱に1通だけ届きました。"}, o.Event == relay.Delivered && len(answers) == 1, o.Event, o.Reply)
	return err
}

func unknownUser(ctx context.Context, s *twoServers) error {
	before, err := s.alpha.byIMAP(ctx)
	if err == nil {
		err = s.alpha.write(ctx, "nobody@beta.test", lab.Words{EN: "Are you there?", JA: "いらっしゃいますか"})
	}
	if err != nil {
		return err
	}
	o, err := s.outcome(ctx)
	if err != nil {
		return err
	}
	after, err := s.alpha.byIMAP(ctx)
	notice := one(since(before, after))
	s.state(lab.Words{EN: "Beta refused it for good.", JA: "beta は受け取りを断りました。"}, o.Event == relay.Failed && strings.HasPrefix(o.Reply, "550"), o.Reply)
	s.state(lab.Words{EN: "Alice got one notice, which nobody can bounce again.", JA: "アリスに通知が1通届きました。通知が跳ね返ることはありません。"}, strings.HasPrefix(notice, "Return-Path: <>\r\n"))
	s.state(lab.Words{EN: "It names the address and beta's reason.", JA: "通知には、宛先と beta の理由が書かれています。"},
		strings.Contains(notice, "nobody@beta.test") && strings.Contains(notice, "Status: 5.1.1") && strings.Contains(notice, "There is no such user here"))
	return err
}

func betaDown(ctx context.Context, s *twoServers) error {
	alice, err := s.alpha.byIMAP(ctx)
	if err != nil {
		return err
	}
	before, err := s.beta.byIMAP(ctx)
	if err == nil {
		err = s.beta.stop()
	}
	if err == nil {
		err = s.alpha.write(ctx, s.beta.user, lab.Words{EN: "While you were away", JA: "お留守の間に"})
	}
	if err != nil {
		return err
	}
	o, err := s.outcome(ctx)
	if err != nil {
		return err
	}
	s.state(lab.Words{EN: "Alpha cannot reach beta and keeps the mail.", JA: "alpha は beta に届かず、メールを預かっています。"}, o.Event == relay.Deferred && s.waiting(ctx) == 1, o.Event, o.Reply)
	if o, err = s.advance(ctx, 2*time.Hour); err != nil {
		return err
	}
	s.state(lab.Words{EN: "Two hours later it has tried again, and still keeps it.", JA: "2時間後に再び試し、まだ預かっています。"}, o.Event == relay.Deferred && s.waiting(ctx) == 1 && o.Attempts > 1, o.Event, o.Reply)
	if err := s.beta.start(ctx); err != nil {
		return err
	}
	if o, err = s.advance(ctx, time.Hour); err != nil {
		return err
	}
	after, err := s.beta.byIMAP(ctx)
	if err != nil {
		return err
	}
	s.state(lab.Words{EN: "Beta is back, and Bob has the mail exactly once.", JA: "beta が戻り、ボブにちょうど1通届きました。"}, o.Event == relay.Delivered && len(since(before, after)) == 1, o.Event, o.Reply)
	told, err := s.alpha.byIMAP(ctx)
	s.state(lab.Words{EN: "Nothing waits any more, and Alice was not bothered.", JA: "待っているメールはなく、アリスには何の通知もありません。"}, s.waiting(ctx) == 0 && len(told) == len(alice))
	return err
}

func breakTLS(ctx context.Context, s *twoServers) error {
	restart := func(alone bool) error {
		if err := s.beta.stop(); err != nil {
			return err
		}
		s.beta.alone = alone
		return s.beta.start(ctx)
	}
	if err := restart(true); err != nil {
		return err
	}
	fresh, o, err := s.brought(ctx, lab.Words{EN: "For your eyes only", JA: "内密の話"})
	if err != nil {
		return err
	}
	s.state(lab.Words{EN: "Nobody vouches for beta any more; alpha keeps the mail instead of telling it to a stranger.", JA: "beta の身元を誰も保証しないので、alpha は見知らぬ相手に渡さず、メールを預かります。"},
		o.Event == relay.Deferred && strings.Contains(o.Reply, "TLS") && len(fresh) == 0 && s.waiting(ctx) == 1, o.Reply)
	if err := restart(false); err != nil {
		return err
	}
	before, err := s.beta.byIMAP(ctx)
	if err == nil {
		o, err = s.advance(ctx, 2*time.Hour)
	}
	if err != nil {
		return err
	}
	after, err := s.beta.byIMAP(ctx)
	s.state(lab.Words{EN: "The certificate is back; two hours later the mail is there, once.", JA: "証明書が戻り、2時間後にメールが1通届きました。"}, o.Event == relay.Delivered && o.Proven && len(since(before, after)) == 1, o.Event, o.Reply)
	return err
}

// waiting is how many recipients are in alpha's queue; -1 is unknown.
func (s *twoServers) waiting(ctx context.Context) int {
	all, err := s.alpha.node.store.Queue(ctx)
	if err != nil {
		return -1
	}
	return len(all)
}

func breakSPF(ctx context.Context, s *twoServers) error {
	if err := s.zone.Set("alpha.test", `alpha.test. TXT "v=spf1 ip4:192.0.2.1 -all"`); err != nil {
		return err
	}
	fresh, _, err := s.brought(ctx, lab.Words{EN: "Sent from the wrong place", JA: "違う場所から"})
	if err != nil {
		return err
	}
	r := results(one(fresh))
	s.state(lab.Words{EN: "Beta sees that alpha's SPF does not allow this server.", JA: "beta は、alpha の SPF がこのサーバーを許していないと気づきます。"}, strings.Contains(r, "spf=fail"), picked(r, "spf"))
	s.state(lab.Words{EN: "The DKIM signature still vouches for it, so DMARC passes and Bob gets it.", JA: "DKIM の署名が証明するので DMARC は pass になり、ボブに届きます。"},
		strings.Contains(r, "dkim=pass") && strings.Contains(r, "dmarc=pass"), picked(r, "dkim", "dmarc"))
	return s.zone.Set("alpha.test", `alpha.test. TXT "v=spf1 ip4:127.0.0.1 -all"`)
}

func rotateDKIM(ctx context.Context, s *twoServers) error {
	ring := s.alpha.node.cfg.keyring()
	next, err := ring.Prepare("alpha.test", s.clock.Now())
	if err == nil {
		err = s.alpha.publishKeys()
	}
	if err == nil {
		err = ring.Activate("alpha.test")
	}
	if err != nil {
		return err
	}
	old, err := s.beta.byIMAP(ctx)
	if err != nil {
		return err
	}
	fresh, _, err := s.brought(ctx, lab.Words{EN: "New keys", JA: "新しい鍵"})
	if err != nil {
		return err
	}
	mail := one(fresh)
	r := results(mail)
	s.state(lab.Words{EN: "Alpha signs with the new keys.", JA: "alpha は新しい鍵で署名します。"}, strings.Contains(mail, "s="+next[0].Selector+";") && strings.Contains(mail, "s="+next[1].Selector+";"), next[0].Selector, next[1].Selector)
	s.state(lab.Words{EN: "Beta finds them in DNS: DKIM passes.", JA: "beta は DNS で鍵を見つけ、DKIM は pass です。"}, strings.Contains(r, "dkim=pass") && !strings.Contains(r, "dkim=fail"), picked(r, "dkim"))
	v := &mailauth.Verifier{Resolver: s.beta.node.cfg.checkResolver(), Hostname: "mail.beta.test"}
	again, err := v.CheckSignatures(ctx, bytes.NewReader([]byte(old[0])), int64(len(old[0])))
	was := results(string(again.Header()) + "\r\n")
	s.state(lab.Words{EN: "The first mail, signed with the old keys, can still be verified.", JA: "古い鍵で署名された最初のメールも、まだ検証できます。"}, strings.Contains(was, "dkim=pass") && !strings.Contains(was, "dkim=fail"), picked(was, "dkim"))
	return err
}

func userFull(ctx context.Context, s *twoServers) error {
	before, err := s.beta.byIMAP(ctx)
	if err != nil {
		return err
	}
	bob, err := s.beta.node.store.UserByAddress(ctx, s.beta.user)
	if err != nil {
		return err
	}
	full, room := int64(1), int64(0)
	if _, err := s.beta.node.store.UpdateUser(ctx, bob.ID, store.UserChange{Quota: &full}); err != nil {
		return err
	}
	fresh, o, err := s.brought(ctx, lab.Words{EN: "One more", JA: "もう1通"})
	if err != nil {
		return err
	}
	s.state(lab.Words{EN: "Beta says that there is no room now; alpha keeps the mail.", JA: "beta は今は空きがないと答え、alpha はメールを預かります。"},
		o.Event == relay.Deferred && strings.HasPrefix(o.Reply, "452") && len(fresh) == 0 && s.waiting(ctx) == 1, o.Reply)
	if _, err := s.beta.node.store.UpdateUser(ctx, bob.ID, store.UserChange{Quota: &room}); err != nil {
		return err
	}
	if o, err = s.advance(ctx, 2*time.Hour); err != nil {
		return err
	}
	after, err := s.beta.byIMAP(ctx)
	s.state(lab.Words{EN: "Bob has made room; two hours later the mail is there, once.", JA: "ボブが空きを作り、2時間後にメールが1通届きました。"}, o.Event == relay.Delivered && len(since(before, after)) == 1, o.Event, o.Reply)
	return err
}
