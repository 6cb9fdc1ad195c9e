package lab

import (
	"context"
)

var readSync = Scenario{
	ID:    "read-sync",
	Title: Words{"Read on one device: does the other know?", "2台で読む：既読は同期される？"},
	Lanes: Columns,
	Steps: []Step{
		{
			Actor: hanako,
			Text:  Words{"sends the same two mails to a mailbox for each way of reading.", "方式ごとのメールボックスに、同じメールを2通ずつ送ります。"},
			Why:   whyDeliver,
			RFC:   "RFC 5321 §3.3",
			do:    deliver(meeting, invoice),
		}, {
			Actor: both,
			Text:  Words{"get the mail, the PC first. With IMAP the phone stays connected and listens (IDLE), and so does the page of a webmail.", "まずPC、次にスマホで受信します。IMAPのスマホは接続したまま、サーバーからの知らせを待ちます（IDLE）。Webメールの画面も同じように待ちます。"},
			Why:   Words{"A POP3 program that deletes leaves nothing to the second device; with a copy on the server that device downloads everything once more.", "POP3で削除すると、2台目には何も残りません。サーバーに残す設定なら、2台目も同じメールをもう一度ダウンロードします。"},
			RFC:   "RFC 9051 §6.3.13", Show: "STAT SELECT IDLE",
			do: func(ctx context.Context, st *stage) error {
				if err := fetch(thePC, thePhone)(ctx, st); err != nil {
					return err
				}
				if d, ok := st.phone.(listener); ok {
					return d.Idle()
				}
				return nil
			},
			Facts: []Fact{{
				Text:    Words{"unread on the phone", "スマホで未読のメール"},
				measure: unread(thePhone),
				lesson:  map[Column]check{Delete: is(0, 2), Keep: is(2, 2), IMAP: is(2, 2), Web: is(2, 2)},
			}},
		}, {
			Actor: alicePC,
			Text:  Words{"opens the first mail.", "1通目のメールを開きます。"},
			Why:   Words{"IMAP and webmail keep the mark \\Seen on the server, and whoever listens is told at once. POP3 has no command to say that a mail was read.", "IMAPとWebメールは既読の印（\\Seen）をサーバーに保存し、待っている端末にすぐ知らせます。POP3には、読んだことを伝えるコマンドがありません。"},
			RFC:   "RFC 9051 §2.3.2", Show: "FETCH STORE",
			do: func(ctx context.Context, st *stage) error {
				if err := open(thePC, meeting)(ctx, st); err != nil {
					return err
				}
				if d, ok := st.phone.(listener); ok {
					if err := d.Hear(ctx, heardFlag, 1); err != nil {
						return err
					}
				}
				return lookAtServer(ctx, st)
			},
			Facts: []Fact{{
				Axis:    AxisKept,
				Text:    Words{"mails on the PC / on the server", "PCにあるメール / サーバーにあるメール"},
				measure: kept,
				lesson:  map[Column]check{Delete: is(2, 0), Keep: is(2, 2), IMAP: is(1, 2), Web: is(0, 2)},
			}, {
				Axis:    AxisSpace,
				Text:    Words{"server space used", "サーバーの使用容量"},
				measure: space,
				lesson:  map[Column]check{Delete: none, Keep: some, IMAP: some, Web: some},
			}},
		}, {
			Actor: phone,
			Text:  Words{"shows its list of mails. With POP3 it fetches once more first; with IMAP and webmail it has been told already, if at all.", "メールの一覧を表示します。POP3ではもう一度受信してから、IMAPとWebメールでは届いた知らせだけを頼りに表示します。"},
			Why:   Words{"With IMAP and webmail the phone shows the state of the server, with POP3 that of its own store.", "IMAPとWebメールのスマホに映るのはサーバーの状態、POP3のスマホに映るのは端末の中の控えです。"},
			RFC:   "RFC 2177 §3", Show: "STAT UIDL",
			do: func(ctx context.Context, st *stage) error {
				if _, listens := st.phone.(listener); listens {
					return nil
				}
				return st.phone.Fetch(ctx)
			},
			Facts: []Fact{{
				Axis:    AxisDevices,
				Text:    Words{"mails the phone shows", "スマホで見えるメール"},
				measure: shown(thePhone),
				lesson:  map[Column]check{Delete: is(0, 2), Keep: is(2, 2), IMAP: is(2, 2), Web: is(2, 2)},
			}, {
				Axis:    AxisRead,
				Text:    Words{"the phone shows the mail as read", "スマホでも既読になったか"},
				Choices: yesOrNo,
				measure: readShared,
				lesson:  map[Column]check{Delete: no, Keep: no, IMAP: yes, Web: yes},
			}, {
				Axis:    AxisTraffic,
				Text:    Words{"traffic of both devices", "2台の通信量"},
				measure: traffic(thePC, thePhone),
			}},
		},
	},
}

// readShared tells whether the phone shows as read what the PC opened and, if
// the server told it, after how long.
func readShared(st *stage) (Value, []Ref) {
	g := st.phone.base()
	e := g.find(meeting.id, inbox)
	v := yesNo(e != nil && e.seen)
	stored, ok := st.pc.base().last(flag, meeting.id)
	heard, told := g.last(heardFlag, meeting.id)
	if !ok || !told {
		return v, g.shows()
	}
	v.After = max(st.recorder.at(heard.ref).Sub(st.recorder.at(stored.ref)), 1)
	return v, []Ref{stored.ref, heard.ref}
}

var mixed = Scenario{
	ID:    "mixed",
	Title: Words{"POP3 and IMAP on one mailbox: the vanished mail", "POP3とIMAPの混在：消えたメール"},
	Lanes: []Column{Mixed},
	Steps: []Step{
		sendsTwo,
		{
			Actor: phone,
			Text:  Words{"shows them by IMAP and stays connected.", "IMAPで一覧を表示し、接続したままにします。"},
			Why:   Words{"While it listens, the server tells it of changes without being asked.", "待ち受けている間は、サーバーが変化をすぐに知らせます。"},
			RFC:   "RFC 9051 §6.3.13", Show: "SELECT IDLE",
			do: func(ctx context.Context, st *stage) error {
				if err := st.phone.Fetch(ctx); err != nil {
					return err
				}
				return st.phone.(*IMAPDevice).Idle()
			},
			Facts: []Fact{{
				Text:    Words{"mails the phone shows", "スマホで見えるメール"},
				measure: shown(thePhone), lesson: everywhere(is(2, 2)),
			}},
		}, {
			Actor: alicePC,
			Text:  Words{"is an old PC, still set to POP3 without leaving copies. It fetches.", "昔の設定のままのPCが、POP3（サーバーに残さない）で受信します。"},
			Why:   Words{"POP3 deletes from the very mailbox that IMAP shows.", "POP3が削除するのは、IMAPで見ているのと同じメールボックスのメールです。"},
			RFC:   "RFC 1939 §6", Show: "RETR DELE QUIT",
			do: func(ctx context.Context, st *stage) error {
				if err := st.pc.Fetch(ctx); err != nil {
					return err
				}
				return st.phone.(*IMAPDevice).Hear(ctx, heardGone, 2)
			},
		}, {
			Actor: phone,
			Text:  Words{"has been told by the server, unasked. Alice looks at its list of mails.", "サーバーから知らせを受けています。アリスが一覧を見てみると……"},
			Why:   Words{"Nothing is broken: the mails are on the old PC. Set that one to leave a copy, or to IMAP.", "故障ではありません。メールは古いPCの中にあります。そのPCの設定を「サーバーにメールを残す」かIMAPに変えれば防げます。"},
			RFC:   "RFC 9051 §7.5.1",
			do:    lookAtServer,
			Facts: []Fact{{
				Text:    Words{"mails the phone shows now", "スマホで見えるメール"},
				Choices: ofTwo,
				measure: shown(thePhone), lesson: everywhere(is(0, 2)),
			}, {
				Text:    Words{"they vanished before the user's eyes", "見ている前で消えたか"},
				measure: vanished, lesson: everywhere(yes),
			}, {
				Text:    Words{"mails on the PC / on the server", "PCにあるメール / サーバーにあるメール"},
				measure: kept, lesson: everywhere(is(2, 0)),
			}},
		},
	},
}

// vanished tells how long after the PC's QUIT the phone had lost the mails.
func vanished(st *stage) (Value, []Ref) {
	quit, ok := st.pc.base().last(commit, "")
	gone := st.phone.base().refs(heardGone)
	if !ok || int64(len(gone)) != st.delivered {
		return yesNo(false), st.phone.base().shows()
	}
	v := yesNo(true)
	v.After = max(st.recorder.at(gone[len(gone)-1]).Sub(st.recorder.at(quit.ref)), 1)
	return v, append([]Ref{quit.ref}, gone...)
}

var attachment = Scenario{
	ID:    "attachment",
	Title: Words{"A mail with 5 MB attached", "5 MBの添付ファイルと通信量"},
	Lanes: Columns,
	Steps: []Step{
		{
			Actor: hanako,
			Text:  Words{"sends a short text with a file of 5 MB.", "短い本文に5 MBのファイルを添付して送ります。"},
			Why:   Words{"A file travels inside the mail, written as text (base64), and grows by more than a third.", "添付ファイルは文字に置き換えて（base64）メールの中に入れるため、3割以上大きくなります。"},
			RFC:   "RFC 2045 §6.8", Show: "MAIL",
			do: deliver(photos),
		}, {
			Actor: alicePC,
			Text:  Words{"asks what it is before fetching it: POP3 can show the first lines (TOP), IMAP the parts, a webmail its list.", "受信する前に中身を調べます。POP3は先頭の数行（TOP）、IMAPはメールの構造、Webメールは一覧の画面でわかります。"},
			Why:   Words{"Each way can tell how large a mail is before it is downloaded.", "どの方式でも、ダウンロードする前に大きさや中身の見当がつきます。"},
			RFC:   "RFC 1939 §7", Show: "TOP FETCH",
			do: glance,
			Facts: []Fact{{
				Text:    Words{"traffic so far", "ここまでの通信量"},
				measure: traffic(thePC),
				lesson:  everywhere(under(100_000)),
			}},
		}, {
			Actor: alicePC,
			Text:  Words{"gets the mail to read it: POP3 the whole, IMAP the part with the text, a browser a page with it.", "本文を読みます。POP3は全体を、IMAPは本文の部分だけを、Webメールは本文の入った画面を受信します。"},
			Why:   Words{"POP3 can hand over the whole message or its first lines; IMAP can hand over its parts.", "POP3で取り出せるのは全体か先頭の数行ですが、IMAPではメールの部分ごとに取り出せます。"},
			RFC:   "RFC 9051 §6.4.5", Show: "RETR FETCH",
			do: readText,
			Facts: []Fact{{
				Axis:    AxisAttachment,
				Text:    Words{"traffic until the text can be read", "本文を読むまでの通信量"},
				measure: traffic(thePC),
				lesson:  map[Column]check{Delete: over(5_000_000), Keep: over(5_000_000), IMAP: under(100_000), Web: under(100_000)},
			}},
		},
	},
}

// glance looks at the mail without downloading it.
func glance(ctx context.Context, st *stage) error {
	switch d := st.pc.(type) {
	case *POP3Device:
		if err := d.LogIn(ctx); err != nil {
			return err
		}
		return d.Top(1, 20)
	case *IMAPDevice:
		if err := d.Fetch(ctx); err != nil {
			return err
		}
		return d.Structure(photos.id)
	case *WebDevice:
		return d.Fetch(ctx)
	}
	return nil
}

// readText gets as much of the mail as the protocol needs to show its text.
func readText(ctx context.Context, st *stage) error {
	switch d := st.pc.(type) {
	case *POP3Device:
		if err := d.Retrieve(); err != nil {
			return err
		}
		return d.Quit()
	case *IMAPDevice:
		return d.ReadPart(photos.id, 1)
	case *WebDevice:
		return d.Open(ctx, photos.id)
	}
	return nil
}
