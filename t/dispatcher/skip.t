#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Skip, cancel and discard: what an endpoint is not to be sent, by whom, and
# only if it is as whoever asks has seen it.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed($_) for qw(ops many);
$t->ctl_ok('partner', 'change', 'acme', '--operations=ops');

my %status = (bad => 500, worse => 404);
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my ($type) = $request->{body} =~ /"type":"(\w+)"/;
    return { hang => 1 } if ($type // '') eq 'hang';
    return $type ? $status{$type} // 200 : 200;
});
my $uid = "uid $<";

skip_fifo();
skip_in_flight();
skip_key();
skip_without_dispatcher();
skip_paused();
cancel();
cancel_what_is_to_come();
cancel_in_slices();
discard();
discard_of_two_epochs();
refused();

is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');
ok($t->verify, 'the store is sound');

done_testing();

###############################################################################

sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $recv->url("/$path"),
        feeds => 'orders', start => 'latest', schedule => '0,1h,1h', %opts);
}
sub came {
    my ($path) = @_;
    return sequences(grep { $_->{path} eq "/$path" } $recv->requests);
}
sub lane { my ($name, $feed) = @_;
    my ($lane) = grep { $_->{cursor} && $_->{feed} eq ($feed // 'orders') }
        status_lines($t, $name);
    return $lane // { line => '' };
}
sub begins { my ($name) = @_;
    return ok(wait_for(sub { lane($name)->{cursor} }), 'an endpoint') }
sub last_of { my ($feed) = @_; my $n = () = stored($t, $feed); return $n }
sub cursor { my ($n, $feed) = @_;
    my ($epoch) = (stored($t, $feed // 'orders'))[0] =~ /"cursor":"(\w+)-/;
    return "$epoch-$n";
}
sub waiting { my ($name) = @_;
    return scalar grep { $_->{line} =~ / (?:retry|held) / }
        status_lines($t, $name) }
sub told {
    my ($type, $name) = @_;
    return map { $_->{data} } grep { $_->{type} eq $type
        && $_->{subject} eq $name }
        map { decode_json($_) } stored($t, 'ops');
}
sub gone { $t->ctl_ok('endpoint', 'remove', $_[0]) }

# A command that is refused: exit status 1 and one line.
sub refuses {
    my ($like, @args) = @_;
    my ($rc, $out, $err) = $t->ctl('endpoint', @args);
    ok($rc == 1 && $out eq '' && $err =~ /^eventsyncctl: .*$like.*\n\z/,
        "refused: @args[0, 2 .. $#args]") or diag("$rc: $out$err");
}

sub skip_fifo {
    put($t, 'orders', 1);
    my $name = endpoint('fifo');
    refuses('the first event that waits is none', 'skip', $name, 'orders',
        cursor(1));
    $t->run_dispatcher;
    begins($name);
    my $at = last_of('orders');
    put_types($t, 'orders', qw(good bad good good));
    ok(wait_for(sub { retries($t, $name) == 1 }), 'one event blocks it');
    is_deeply([came('fifo')], [$at + 1, $at + 2], 'behind which none is sent');

    refuses("does not block the endpoint; the first event that waits is "
        . cursor($at + 2), 'skip', $name, 'orders', cursor($_))
        for $at + 1, $at + 3;
    is(retries($t, $name), 1, 'nothing has changed');
    is($t->ctl_ok('endpoint', 'skip', $name, 'orders', cursor($at + 2)),
        "skipped\n", 'the one on which it stands is skipped');
    ok(wait_for(sub { came('fifo') == 4 }), 'the others come at once');
    ok(wait_for(sub { lane($name)->{line} =~ /pending=0 behind=0\b/
        && !waiting($name) }), 'and nothing waits');

    my ($dead) = map { decode_json($_) }
        split /\n/, $t->ctl_ok('endpoint', 'dead', $name, '--json');
    is_deeply([@{$dead}{qw(cursor class reason attempts status)}],
        [cursor($at + 2), 'skipped', "skipped by $uid", 1, 500],
        'it is a dead letter that says who skipped it');
    like($t->ctl_ok('endpoint', 'dead', $name),
        qr/ class=skipped skipped by $uid$/m, 'in text, too');
    like($t->{dispatcher}->stderr,
        qr/ warn: endpoint $name: event .* was skipped after 1 .* by $uid$/m,
        'so does the log');
    ok(wait_for(sub { told('message.skipped', $name) == 1 }),
        'and an operational event');
    my ($told) = told('message.skipped', $name);
    is_deeply([@{$told}{qw(feed cursor by attempts)}],
        ['orders', cursor($at + 2), $uid, 1], 'with what and by whom');
    is(scalar told('message.exhausted', $name), 0, 'it is told once');
    refuses('does not block the endpoint; the first event that waits is none', 'skip',
        $name, 'orders', cursor($at + 2));

    $status{bad} = 200;
    $t->ctl_ok('endpoint', 'redrive', $name);
    ok(wait_for(sub { came('fifo') == 5 && !dead($t, $name) }),
        'it can be redriven as any other');
    $status{bad} = 500;
    gone($name);
}

sub skip_in_flight {
    my $name = endpoint('flight');
    begins($name);
    my $at = last_of('orders');
    put_types($t, 'orders', qw(hang good));
    ok(wait_for(sub { came('flight') == 1 }), 'a receiver that hangs');
    is($t->ctl_ok('endpoint', 'skip', $name, 'orders', cursor($at + 1)),
        "skipped\n", 'an event in flight is skipped');
    ok(wait_for(sub { came('flight') == 2 }), 'and the next one sent');
    is(scalar dead($t, $name), 1, 'it is a dead letter');
    gone($name);
}

sub skip_key {
    my $name = endpoint('key', ordering => 'key');
    begins($name);
    my $at = last_of('orders');
    put($t, 'orders', { type => 'bad', subject => 'a' },
        { type => 'good', subject => 'a' }, { type => 'good', subject => 'b' });
    ok(wait_for(sub { waiting($name) == 2 && came('key') == 2 }),
        'a subject stands, another does not');
    refuses('does not block the endpoint', 'skip', $name, 'orders', cursor($_))
        for $at + 2, $at + 3;
    is($t->ctl_ok('endpoint', 'skip', $name, 'orders', cursor($at + 1)),
        "skipped\n", 'the first of the subject is skipped');
    ok(wait_for(sub { (came('key'))[-1] == $at + 2 }), 'the held one comes');
    ok(wait_for(sub { !waiting($name) }), 'and nothing waits');
    gone($name);
}

sub skip_without_dispatcher {
    my $name = endpoint('down');
    begins($name);
    my $at = last_of('orders');
    put_types($t, 'orders', qw(bad good));
    ok(wait_for(sub { retries($t, $name) == 1 }), 'one event blocks it');
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    my @ctl = map { $t->ctl_start('endpoint', 'skip', $name, 'orders',
        cursor($_)) } $at + 1, $at + 1;
    is($_->wait(20), 0, 'what is asked then is noted') for @ctl;
    like($ctl[0]->stdout, qr/^waiting for the dispatcher$/, 'and says so');
    refuses('the first event that waits is ' . cursor($at + 1), 'skip', $name,
        'orders', cursor($at + 2));
    $t->run_dispatcher;
    ok(wait_for(sub { (came('down'))[-1] == $at + 2 }), 'and done at its start');
    is(scalar dead($t, $name), 1, 'once');
    ok(wait_for(sub { $t->{dispatcher}->stderr
        =~ /warn: request \d+, by $uid,? was refused: the event does not/ }),
        'the second is refused where it is taken');
    gone($name);
}

sub skip_paused {
    my $name = endpoint('paused', types => 'good,bad');
    begins($name);
    $t->ctl_ok('endpoint', 'pause', $name);
    my $at = last_of('orders');
    put_types($t, 'orders', qw(other good good));
    refuses('the first event that waits is ' . cursor($at + 2), 'skip', $name,
        'orders', cursor($at + 1));
    is($t->ctl_ok('endpoint', 'skip', $name, 'orders', cursor($at + 2)),
        "skipped\n", 'the next event of a paused endpoint is skipped');
    $t->ctl_ok('endpoint', 'resume', $name);
    ok(wait_for(sub { came('paused') == 1 }), 'the one after it is sent');
    is_deeply([came('paused')], [$at + 3], 'and no other');
    gone($name);
}

sub cancel {
    my $name = endpoint('cancel', ordering => 'none');
    begins($name);
    my $at = last_of('orders');
    put_types($t, 'orders', ('bad', 'worse', 'good') x 4);
    ok(wait_for(sub { retries($t, $name) == 8 }), 'eight events wait');
    my $count = sub { my @opts = @_;
        chomp(my $n = $t->ctl_ok('endpoint', 'cancel', $name, 'orders',
            '--dry-run', @opts));
        return $n;
    };
    is($count->(), 8, 'a dry run counts them');
    is($count->('--types=bad'), 4, 'by type');
    is($count->('--types=bad,worse'), 8, 'by types');
    is($count->('--status=404'), 4, 'by status');
    is($count->('--status=404,500'), 8, 'by statuses');
    is($count->('--types=bad', '--status=404'), 0, 'by both');
    is($count->('--from=' . cursor($at + 4), '--to=' . cursor($at + 8)), 4,
        'by range');
    is(retries($t, $name), 8, 'and changes nothing');

    refuses('there are 4 events, not 8', 'cancel', $name, 'orders',
        '--status=404', '--expect=8');
    is(retries($t, $name), 8, 'a wrong number changes nothing');
    is($t->ctl_ok('endpoint', 'cancel', $name, 'orders', '--status=404',
        '--expect=4'), "4 cancelled\n", 'the right number cancels them');
    is_deeply([map { $_->{status} } retries($t, $name)], [(500) x 4],
        'and no others');
    is($t->ctl_ok('endpoint', 'cancel', $name, 'orders', '--types=bad',
        '--to=' . cursor($at + 4), '--expect=2'), "2 cancelled\n", 'by type');
    is_deeply([map { $_->{sequence} } retries($t, $name)],
        [$at + 7, $at + 10], 'and range');
    is(scalar dead($t, $name), 0, 'they are no dead letters');
    ok(wait_for(sub { told('messages.cancelled', $name) == 2 }),
        'operational events tell it');
    is_deeply([map { "$_->{count} $_->{by} $_->{feed}" }
        told('messages.cancelled', $name)], ["4 $uid orders",
        "2 $uid orders"], 'with how many and by whom');
    like($t->{dispatcher}->stderr,
        qr/warn: endpoint $name: 4 .* cancelled, feed "orders", by $uid$/m,
        'the log, too');
    gone($name);

    # of held ones, the next may go
    my $key = endpoint('held', ordering => 'key');
    begins($key);
    put($t, 'orders', { type => 'bad', subject => 'a' },
        { type => 'good', subject => 'a' }, { type => 'good', subject => 'a' });
    ok(wait_for(sub { waiting($key) == 3 }), 'two are held by one that fails');
    $t->ctl_ok('endpoint', 'cancel', $key, 'orders', '--types=bad',
        '--expect=1');
    ok(wait_for(sub { came('held') == 3 }), 'without it they go');
    gone($key);
}

sub cancel_what_is_to_come {
    my $name = endpoint('come');
    begins($name);
    my $at = last_of('orders');
    put_types($t, 'orders', qw(bad good good good good));
    ok(wait_for(sub { retries($t, $name) == 1 }), 'one event blocks it');
    my ($n) = $t->ctl_ok('endpoint', 'cancel', $name, 'orders', '--dry-run');
    is($n, "1\n", 'of what waits there is one');
    is($t->ctl_ok('endpoint', 'cancel', $name, 'orders', '--dry-run',
        '--to=' . cursor($at + 3)), "3\n", 'with what is to come, three');
    is($t->ctl_ok('endpoint', 'cancel', $name, 'orders', '--expect=3',
        '--to=' . cursor($at + 3)), "3 cancelled\n", 'they are passed over');
    ok(wait_for(sub { came('come') == 3 }), 'the rest is sent');
    is_deeply([came('come')], [$at + 1, $at + 4, $at + 5], 'and no more');
    $t->ctl_ok('endpoint', 'pause', $name);
    put_types($t, 'orders', ('good') x 3);
    is($t->ctl_ok('endpoint', 'cancel', $name, 'orders', '--expect=3',
        '--to=latest'), "3 cancelled\n", 'all that is there');
    $t->ctl_ok('endpoint', 'resume', $name);
    put_types($t, 'orders', 'good');
    ok(wait_for(sub { (came('come'))[-1] == $at + 9 }), 'is left out');
    is(scalar came('come'), 4, 'but what comes after');
    gone($name);
}

# More than a slice, with a kill in the middle.
sub cancel_in_slices {
    my $name = endpoint('many', feeds => 'many', ordering => 'none',
        in_flight => 64, schedule => '0,1h');
    ok(wait_for(sub { lane($name, 'many')->{cursor} }), 'an endpoint');
    my $waits = sub { my @opts = @_;
        return 0 + $t->ctl_ok('endpoint', 'cancel', $name, 'many',
            '--dry-run', @opts);
    };
    put_types($t, 'many', ('bad', 'worse') x 600);
    ok(wait_for(sub { $waits->() == 1200 }, 60), '1200 events wait');
    my $ctl = $t->ctl_start('endpoint', 'cancel', $name, 'many',
        '--types=bad', '--expect=600');
    wait_for(sub { $waits->() < 1200 }, 0.02);
    $t->stop_dispatcher('KILL');
    $t->run_dispatcher;
    is($ctl->wait(30), 0, 'the command ends');
    ok(wait_for(sub { $waits->() == 600 }, 30),
        'those that are meant are cancelled, over a kill');
    is($waits->('--status=404'), 600, 'and no others');

    # a redrive's worth of dead letters, discarded over a kill
    is($t->ctl_ok('endpoint', 'cancel', $name, 'many', '--expect=600'),
        "600 cancelled\n", 'the rest without looking at types');
    ok(wait_for(sub { $waits->() == 0 }), 'none waits');
    $t->ctl_ok('endpoint', 'change', $name, '--schedule=0');
    $t->ctl_ok('endpoint', 'replay', $name, 'many', '--from=oldest');
    ok(wait_for(sub { my $n = () = $t->ctl_ok('endpoint', 'dead', $name)
        =~ /\n/g; $n == 1200 }, 60), '1200 dead letters');
    $ctl = $t->ctl_start('endpoint', 'discard', $name, '--types=worse',
        '--expect=600');
    ok(wait_for(sub { $t->{dispatcher}->running }), 'the dispatcher runs');
    $t->stop_dispatcher('KILL');
    $t->run_dispatcher;
    is($ctl->wait(30), 0, 'the command ends');
    ok(wait_for(sub { my @dead = dead($t, $name);
        @dead == 600 && !grep { $_->{status} != 500 } @dead }, 30),
        'half of them are discarded, over a kill');
    ok(wait_for(sub { my ($told) = told('messages.discarded', $name);
        $told && $told->{count} <= 600 }, 10), 'which is told');
    gone($name);
}

sub discard {
    my $name = endpoint('dead', ordering => 'none', schedule => '0');
    begins($name);
    my $at = last_of('orders');
    put_types($t, 'orders', ('bad', 'worse') x 3);
    ok(wait_for(sub { dead($t, $name) == 6 }), 'six dead letters');
    my $count = sub { my @opts = @_;
        chomp(my $n = $t->ctl_ok('endpoint', 'discard', $name, @opts,
            '--dry-run'));
        return $n;
    };
    is($count->(), 6, 'a dry run counts them');
    is($count->('orders', '--types=bad'), 3, 'by type');
    is($count->('--status=500'), 3, 'by status');
    is($count->('--class=status'), 6, 'by class');
    is($count->('--class=timeout,skipped'), 0, 'of other classes there are none');
    is($count->('orders', '--from=' . cursor($at + 2), '--to='
        . cursor($at + 4)), 3, 'by range');
    is($count->('many'), 0, 'of another feed');
    is(scalar dead($t, $name), 6, 'and changes nothing');
    refuses('there are 3 events, not 2', 'discard', $name, '--status=404',
        '--expect=2');
    is($t->ctl_ok('endpoint', 'discard', $name, '--status=404',
        '--expect=3'), "3 discarded\n", 'the right number discards them');
    is_deeply([map { $_->{status} } dead($t, $name)], [(500) x 3],
        'and no others');
    is($t->ctl_ok('endpoint', 'discard', $name, 'orders', '--from='
        . cursor($at + 3), '--to=' . cursor($at + 3), '--expect=1'),
        "1 discarded\n", 'one by its cursor');
    is_deeply([map { $_->{sequence} } dead($t, $name)], [$at + 1, $at + 5],
        'that one');
    ok(wait_for(sub { told('messages.discarded', $name) == 2 }),
        'operational events tell it');
    is_deeply([map { "$_->{count} $_->{by}" }
        told('messages.discarded', $name)], ["3 $uid", "1 $uid"],
        'with how many and by whom');
    gone($name);
}

sub discard_of_two_epochs {
    $t->feed('reset');
    my $name = endpoint('epochs', ordering => 'none', schedule => '0',
        feeds => 'reset');
    ok(wait_for(sub { lane($name, 'reset')->{cursor} }), 'an endpoint');
    put_types($t, 'reset', qw(good bad));
    ok(wait_for(sub { dead($t, $name) == 1 }), 'a dead letter');
    $t->ctl_ok('feed', 'reset', 'reset');
    put_types($t, 'reset', 'bad');
    ok(wait_for(sub { dead($t, $name) == 2 }), 'another, of the next epoch');
    is($t->ctl_ok('endpoint', 'discard', $name, 'reset', '--from='
        . cursor(1, 'reset'), '--dry-run'), "1\n", 'a range is of one epoch');
    is($t->ctl_ok('endpoint', 'discard', $name, 'reset', '--expect=2'),
        "2 discarded\n", 'a feed has the dead letters of both');
    ok(wait_for(sub { told('messages.discarded', $name) }), 'which is told');
    is_deeply([map { exists $_->{from} ? 1 : 0 }
        told('messages.discarded', $name)], [0], 'without a range');
    gone($name);
}

sub refused {
    my $name = endpoint('refused');
    my $cursor = cursor(1);
    for (['no endpoint "ep_x"', 1, 'skip', 'ep_x', 'orders', $cursor],
        ['no endpoint "ep_x"', 1, 'discard', 'ep_x', '--dry-run'],
        ['there is no feed "none"', 2, 'skip', $name, 'none', $cursor],
        ['"x" is not a cursor', 1, 'skip', $name, 'orders', 'x'],
        ['cursor must not be before the first event', 2, 'skip', $name, 'orders', cursor(0)],
        ['too few arguments', 2, 'skip', $name, 'orders'],
        ['either "--dry-run" or "--expect"', 2, 'cancel', $name, 'orders'],
        ['either "--dry-run" or "--expect"', 2, 'discard', $name,
            '--dry-run', '--expect=1'],
        ['"--expect=x" is not a number', 2, 'cancel', $name, 'orders',
            '--expect=x'],
        ['"--status=x" is not a number', 2, 'cancel', $name, 'orders',
            '--dry-run', '--status=x'],
        ['types: a type in the list is malformed', 2, 'cancel', $name,
            'orders', '--dry-run', '--types=a*b'],
        ['classes must be classes', 2, 'discard', $name, '--dry-run',
            '--class=none'],
        ['unknown option "--class"', 2, 'cancel', $name, 'orders',
            '--dry-run', '--class=status'],
        ['from requires "feed"', 2, 'discard', $name, '--dry-run',
            "--from=$cursor"],
        ['from must not be after "to"', 2, 'cancel', $name, 'orders', '--dry-run',
            '--from=' . cursor(3), '--to=' . cursor(2)])
    {
        my ($error, $status, @args) = @$_;
        my ($rc, $out, $err) = $t->ctl('endpoint', @args);
        ok($rc == $status && $out eq ''
            && $err =~ /^eventsyncctl: .*\Q$error\E.*\n\z/,
            "refused: @args") or diag("$rc: $out$err");
    }
    gone($name);
}
