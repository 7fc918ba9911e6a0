#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Packed history serves the bytes that plain history served: in polls, pages,
# manifests, backfills, snapshots, streams and webhooks, also while two
# processes pack and unpack it, and after retention, erasure, a backup and a
# restore.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Reader;

use constant EVENTS => 1250;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init;
$t->feed($_, pack => 'off') for qw(orders other);
my $key = $t->master_key;

$t->default_conf(http => 'eventsync_sse on; eventsync_sse_max_time 2s;',
    location => 'eventsync_backfill on; eventsync_snapshot on; eventsync_pages on;');
fill();
$t->run_nginx;

my $recv = $t->receiver(200);
my %plain = answers();
my ($middle) = $plain{'GET pages 5'}{body} =~ /"cursor":"([^"]+-450)"/;
my @stream = stream($middle);
is(scalar @stream, EVENTS - 450, 'a stream begins in the middle of a page');
my @deliveries = deliveries();
my ($bytes) = used();

packs();
webhooks();
two_processes();
while_packing();
unpacks();
erasures();
trims();
beside_deletions();
copies();

done_testing();

###############################################################################

# Single commits as most publishers make them, then batches; subjects that come
# again after one event and after hundreds; types of which some are rare.
sub fill {
    my @events = map { $t->event(id => "e$_", subject => 'order/' . $_ % 71,
        type => $_ % 97 == 0 ? 'rare.kind' : 'order.' . $_ % 3,
        $_ % 5 ? () : (traceparent => sprintf('00-%032x-%016x-01', $_, $_)),
        data => { n => $_, name => "Größe $_", text => 'x' x ($_ * 7 % 300) }) }
        1 .. EVENTS;
    for my $part ([ 1, splice @events, 0, 430 ], [ 37, @events ]) {
        my ($batch, @part) = @$part;
        $t->ctl_ok({ stdin => join '', map { "$_\n" } @part }, 'publish',
            'orders', "--batch=$batch");
    }
}

sub ask {
    my ($path, %headers) = @_;
    my $answer = $t->http(GET => "/v1/feeds/orders/$path",
        { authorization => "Bearer $key", %headers });
    return { status => $answer->{status}, body => $answer->{body},
        map { $_ => $answer->{headers}{$_} } qw(etag link content-type
            cache-control x-accel-expires) };
}

# What every channel answers, by a name.
sub answers {
    my %got;
    my $all = ask('events?from=oldest&limit=1000');
    my ($epoch) = $all->{body} =~ /"cursor":"([^"]+)-\d+"/;
    my ($time) = $all->{body} =~ /"time":"([^"]+)"[^}]*"n":300,/;
    my %poll = (
        all => 'from=oldest&limit=1000', rest => "after=$epoch-1000&limit=1000",
        inside => "after=$epoch-333&limit=7",
        across => "after=$epoch-395&limit=10",
        type => 'from=oldest&types=rare.kind&limit=1000',
        types => "after=$epoch-150&types=order.1,rare.*&limit=1000",
        subject => 'from=oldest&subject=order/17&limit=1000',
        both => 'from=oldest&subject=order/17&types=order.2&limit=1000',
        none => 'from=oldest&subject=order/none&limit=1000',
        time => "from=$time&limit=5", batch => 'from=oldest&limit=1',
    );
    $got{"GET events $_"} = ask("events?$poll{$_}") for keys %poll;
    $got{"GET pages $_"} = ask("pages/$epoch/$_") for 1 .. 13;
    for my $range ('from=oldest', "after=$epoch-42&to=$epoch-977",
        "after=$epoch-100&to=$epoch-200")
    {
        $got{"GET manifest $range"} = ask("manifest?$range");
        $got{"GET backfill $range"} = ask("backfill?$range");
    }
    $got{'GET backfill types'} = ask('backfill?from=oldest&types=rare.*');
    my $page = '';
    for my $n (1 .. 20) {
        my $answer = $got{"GET snapshot $n"}
            = ask("snapshot?limit=20$page");
        $answer->{body} =~ s/"(page|next_page)":"([^"]+)"/"$1":""/ or last;
        $page = "&page=$2";
    }
    return %got;
}

# Differences to the answers before; no cache of a worker hides one.
sub differences {
    $t->reload;
    my %now = answers();
    my @differ;
    for my $name (sort keys %plain) {
        for my $member (sort keys %{ $plain{$name} }) {
            push @differ, "$name: $member" if ($now{$name}{$member} // '')
                ne ($plain{$name}{$member} // '');
        }
    }
    return \@differ;
}

sub stream {
    my ($after) = @_;
    my $reader = Test::Eventsync::Reader->new($t, '/v1/feeds/orders/events',
        $key, 'last-event-id' => $after);
    1 while $reader->chunk;
    return map { "$_->{id} $_->{data}" } @{ $reader->{got} };
}

# The bodies of webhooks of the whole feed, in order.
sub deliveries {
    my $name = $t->endpoint('tester', url => $recv->url, feeds => 'orders',
        ordering => 'fifo', start => 'oldest');
    my $before = $recv->count;
    $t->run_dispatcher;
    ok(wait_for(sub { $recv->count >= $before + EVENTS }, 60),
        'every event comes by webhook');
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    $t->ctl_ok(qw(endpoint remove), $name);
    my @all = map { $_->{body} } $recv->requests;
    return @all[$before .. $#all];
}

# Bytes of the chunks, as "feed pack" counts them, and pages.
sub pack_json {
    return Test::Eventsync::json($t->ctl_ok('feed', @_, '--json'));
}

sub used { return -s $t->store . '/log/data.mdb' }

sub packs {
    my $done = pack_json(qw(pack orders));
    is($done->{pages}, 11, 'full pages are packed, and the last events are not');
    cmp_ok($done->{bytes_after}, '<', $done->{bytes_before} / 2,
        'in less than half of the bytes');
    ok($t->verify, 'the store verifies');
    is_deeply(differences(), [], 'every answer has the same bytes');
    is_deeply([ stream($middle) ], \@stream,
        'a stream goes on in the middle of a packed page');
    is(pack_json(qw(pack orders))->{pages}, 0, 'nothing is packed twice');
    is(pack_json(qw(pack orders --level=19))->{pages}, 0, 'at another level');

    my $etag = $plain{'GET pages 5'}{etag};
    my ($epoch) = $middle =~ /^(.*)-/;
    is(ask("pages/$epoch/5", 'if-none-match' => $etag)->{status}, 304,
        'the ETag of a page is still good');
    like($t->ctl_ok(qw(feed publishers orders)), qr/operator/,
        'the publisher is known');
    is(pack_json(qw(pack other))->{pages}, 0, 'an empty feed has none');
}

sub webhooks {
    my @now = deliveries();
    my $same = grep { $now[$_] eq $deliveries[$_] } 0 .. $#deliveries;
    is($same, EVENTS, 'webhooks of packed history have the same bodies');
}

# Each run is packed once, whoever is first.
sub two_processes {
    pack_json(qw(unpack orders));
    my @procs = map { $t->ctl_start(qw(feed pack orders --json)) } 1 .. 3;
    is($_->wait(60), 0, 'one of three that pack at once ends') for @procs;
    my $pages = 0;
    $pages += Test::Eventsync::json($_->stdout)->{pages} for @procs;
    is($pages, 11, 'each page is packed once');
    ok($t->verify, 'the store verifies');
    is_deeply(differences(), [], 'and has the same bytes');
}

# For a child, whose files would have the names of those of this process.
sub repack {
    for my $what (qw(unpack pack)) {
        system($t->build . '/eventsyncctl', '--store', $t->store, 'feed', $what,
            'orders') == 0 or die "feed $what: $?\n";
    }
}

# Publishing, a backup and verifying go on beside it.
sub while_packing {
    my $publisher = $t->background('publisher', sub {
        $t->publish('other', { key => $key }, {}) until $t->told_to_end;
    });
    my $packer = $t->background('packer', sub {
        repack() until $t->told_to_end;
    });
    my @faults;
    for my $n (1 .. 5) {
        my %now = answers();
        push @faults, grep { $now{$_}{body} ne $plain{$_}{body} } keys %plain;
        push @faults, 'verify' if !$t->verify;
        push @faults, 'backup' if ($t->ctl('backup', $t->testdir . "/b$n"))[0];
    }
    $t->tell_to_end;
    is_deeply(\@faults, [], 'readers see the same bytes at every moment');
    is($_->wait(60), 0, "the $_->{name} ends well") for $publisher, $packer;
    $t->ctl_ok(qw(feed pack orders));
}

sub unpacks {
    like(($t->ctl(qw(feed change orders --pack=on)))[0], qr/^0$/, 'pack=on');
    like(($t->ctl(qw(feed unpack orders)))[2], qr/"feed change orders --pack=off"/,
        'a feed that is packed is not unpacked');
    $t->ctl_ok(qw(feed change orders --pack=off));
    is(pack_json(qw(unpack orders))->{pages}, 11, 'unpacked');
    ok($t->verify, 'the store verifies');
    is_deeply(differences(), [], 'and has the same bytes');
    is(pack_json(qw(pack orders --level=19))->{pages}, 11,
        'and is packed again');
    is_deeply(differences(), [], 'with the same bytes');
}

# Erasing an event of a packed page, and one subject.
sub erasures {
    my ($epoch) = $middle =~ /^(.*)-/;
    $t->ctl_ok(qw(erase --feed=orders --forget-ids --expect=1),
        "--event=$epoch-205");
    ok($t->verify, 'the store verifies after an erasure');
    my %now = answers();
    is($now{'GET manifest from=oldest'}{body},
        $plain{'GET manifest from=oldest'}{body}, 'the manifest stays');
    like($now{'GET pages 3'}{body}, qr/"source":"\/eventsync\/erased"/,
        'a tombstone is there');
    unlike($now{'GET pages 3'}{body}, qr/"e205"/, 'the event is not');
    is($now{'GET pages 4'}{body}, $plain{'GET pages 4'}{body},
        'other pages stay');
    $t->ctl_ok(qw(erase --forget-ids --subject=order/17 --expect=18));
    ok($t->verify, 'the store verifies after an erasure of a subject');
    is(() = ask('events?from=oldest&subject=order/17')->{body} =~ /"cursor"/g,
        0, 'the subject has no events');
    $t->ctl_ok(qw(feed pack orders));
    ok($t->verify, 'and when all is packed again');
    %plain = answers();
}

# The oldest event is in the middle of a packed page.
sub trims {
    my ($epoch) = $middle =~ /^(.*)-/;
    $t->ctl_ok(qw(feed trim orders), "--before=$epoch-151");
    ok($t->verify, 'the store verifies after a trim');
    my $poll = ask('events?from=oldest&limit=10');
    my @kept = $poll->{body} =~ /"cursor":"$epoch-(\d+)"/g;
    is($kept[0], 151, 'the oldest event is in the middle of a packed page');
    is(ask("pages/$epoch/2")->{status}, 410, 'its page is gone');
    is_deeply(ask("pages/$epoch/3"), $plain{'GET pages 3'}, 'the next is not');
    is(ask("events?after=$epoch-149")->{status}, 410, 'a cursor before expires');
    $t->ctl_ok(qw(feed pack orders));
    ok($t->verify, 'a page of which a part is gone may stay as it is');
    %plain = answers();
}

# Erasing, trimming and retention while another process packs and unpacks.
sub beside_deletions {
    my ($epoch) = $middle =~ /^(.*)-/;
    unlink $t->testdir . '/end' or die "unlink: $!\n";
    my $packer = $t->background('packer2', sub {
        repack() until $t->told_to_end;
    });
    for my $n (20 .. 25) {
        my @what = ("--subject=order/$n", qw(--feed=orders --forget-ids));
        my ($rc, $out, $err) = $t->ctl('erase', @what, '--dry-run');
        my ($events) = $out =~ /orders: (\d+) events/ or die "erase: $rc $out$err\n";
        $t->ctl_ok('erase', @what, "--expect=$events");
        $t->ctl_ok(qw(feed trim orders), "--before=$epoch-" . (170 + $n * 10));
    }
    $t->ctl_ok(qw(feed change orders --retain-count=700));
    $t->ctl_ok({ stdin => join '', map { $t->event . "\n" } 1 .. 120 },
        qw(publish orders --batch=40));
    $t->tell_to_end;
    is($packer->wait(60), 0, 'the packer ends well beside deletions');
    ok($t->verify, 'the store verifies');
    is(join(' ', map { () = ask("events?from=oldest&subject=order/$_")->{body} =~ /"cursor"/g }
        20 .. 25), '', 'what was erased does not come back');
    my $feed = Test::Eventsync::json($t->ctl_ok(qw(feed show orders)));
    is(scalar(() = $t->ctl_ok(qw(tail orders)) =~ /\n/g), $feed->{events},
        'the feed has the events that it says');
    $t->ctl_ok(qw(feed pack orders));
    ok($t->verify, 'and verifies when all is packed');
    $t->ctl_ok(qw(feed change orders --retain-count=0));
}

sub copies {
    my $dir = $t->testdir . '/backup';
    my $before = $t->ctl_ok(qw(tail orders));
    $t->ctl_ok('backup', $dir);
    $t->ctl_ok(qw(feed change orders --pack=5));
    my $export = $t->ctl_ok(qw(export orders));
    is(scalar(() = $export =~ /"cursor":/g), scalar(() = $before =~ /\n/g),
        'an export has every event');
    my $restored = $t->testdir . '/restored';
    $t->ctl_ok('restore', $dir, $restored, '--erasures=none', '--keep-epochs');
    local $t->{store} = $restored;
    ok($t->verify, 'a restored store verifies');
    is($t->ctl_ok(qw(tail orders)), $before, 'and has the same events');
    is(Test::Eventsync::json($t->ctl_ok(qw(feed show orders)))->{pack_level},
        0, 'and the setting of the backup');
}
