#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# verify-integration and verify-poller --junit: the file has what --json has, and
# is well-formed XML whatever a receiver answers.

use warnings;
use strict;

use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $t = Test::Eventsync->new;
my $dir = $t->testdir;
my $file = "$dir/results.xml";
my $recv = $t->receiver(sub {
    my ($r) = @_;
    return $r->{path} eq '/refuses' ? 415 : $r->{path} eq '/ugly'
        ? { status => 302, headers => { Location =>
            "/<a b=\"c\">&amp;'\xff\xc3\xa9\xef\xbf\xbf" . 'x' x 30 } }
        : 204;
});

# A parser that is not ours: all suites, with their test cases.
my $python = <<'PYTHON';
import json, sys, xml.etree.ElementTree as E
root = E.parse(sys.argv[1]).getroot()
def case(c):
    f, s = c.find("failure"), c.find("skipped")
    return {"name": c.get("name"), "class": c.get("classname"),
        "time": c.get("time"),
        "message": None if f is None else f.get("message"),
        "type": None if f is None else f.get("type"),
        "hint": None if f is None else f.text,
        "skipped": None if s is None else s.get("message")}
print(json.dumps({"root": root.tag, "all": root.attrib, "suites": [
    {"is": s.attrib, "url": s.find("properties/property").get("value"),
     "cases": [case(c) for c in s.findall("testcase")]} for s in root]}))
PYTHON
sub parsed {
    my ($name) = @_;
    my $run = $t->start('python', {}, 'python3', '-c', $python, $file);
    is($run->wait(20), 0, "$name: well-formed XML") or diag $run->stderr;
    return eval { decode_json($run->stdout) } // {};
}

sub same {
    my ($name, $command, $json) = @_;
    my $results = decode_json($json);
    my $xml = parsed($name);
    my $suite = $xml->{suites}[0];
    my %hint = map { $_->{cause} => $_->{hint}
        . ($_->{change} ? " Change: $_->{change}" : '') } @{ $results->{hints} };
    my @expected = map {
        my $failed = !$_->{pass} && !$_->{skipped};
        { name => $_->{check}, class => "eventsyncctl.$command",
            time => sprintf('%.3f', $_->{took_ms} / 1000),
            message => $failed ? "expected $_->{expected}, came $_->{came}"
                =~ s{\x{ffff}}{?}r
                : undef,
            type => $failed ? $_->{cause} // 'answer' : undef,
            hint => $failed && $_->{cause} ? $hint{ $_->{cause} } : undef,
            skipped => $_->{skipped} ? $_->{came} : undef } }
        @{ $results->{checks} };
    is_deeply($suite->{cases}, \@expected, "$name: all checks are there");
    is("$xml->{root} $suite->{is}{name} $suite->{url}",
        "testsuites $command $results->{url}", "$name: so is their place");
    my @counts = (scalar @expected, $results->{checks_failed}, 0,
        $results->{checks_skipped} // 0);
    is_deeply([[@{ $xml->{all} }{qw(tests failures errors skipped)}],
        [@{ $suite->{is} }{qw(tests failures errors skipped)}]],
        [\@counts, \@counts], "$name: and their sums");
    like($suite->{is}{timestamp}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\z/,
        "$name: with a time");
    return $results;
}

###############################################################################
# receivers

for (['right', 1], ['refuses', 1], ['ugly', 1]) {
    my ($path, $status) = @$_;
    my ($rc, $out) = $t->ctl('verify-integration', '--json', "--junit=$file",
        '--url=' . $recv->url("/$path"), "--secret=$SECRET");
    is($rc, $status, "$path: exit status");
    my $results = same($path, 'verify-integration', $out);
    is(scalar @{ $results->{checks} }, 14, "$path: all checks are listed");
    like($results->{checks}[0]{came}, qr/^302 to .*<a b="c">&amp;'\?\xe9/,
        'bytes that are not UTF-8 are replaced') if $path eq 'ugly';
}
is((stat $file)[2] & 07777, 0644, 'others may read the file');
is_deeply([glob "$file.*"], [], 'no other file is left');

###############################################################################
# pollers

my ($rc, $out) = $t->ctl('verify-poller', '--json', "--junit=$file", '--port=0',
    '--silence=1s', '--only=cut,restart', '--run=curl -s '
        . '-H "Authorization: Bearer $EVENTSYNC_KEY" '
        . '"$EVENTSYNC_URL/feeds/$EVENTSYNC_FEED/events?from=oldest"; sleep 60');
is($rc, 1, 'a poller that stops');
my $results = same('poller', 'verify-poller', $out);
ok($results->{checks_failed} > 0, 'has failures');

###############################################################################
# files

my $before = -s $file;
($rc, $out, my $err) = $t->ctl('verify-integration', "--junit=$file",
    '--url=' . $recv->url('/'), '--secret=nonsense');
is($rc, 2, 'a wrong call');
ok(-s $file == $before && !glob("$file.*"), 'leaves the file as it was');

my $sent = $recv->requests;
($rc, $out, $err) = $t->ctl('verify-integration',
    "--junit=$dir/nowhere/results.xml", '--url=' . $recv->url('/'),
    "--secret=$SECRET");
is($rc, 1, 'a file that cannot be made');
is($err, "eventsyncctl: cannot write \"$dir/nowhere/results.xml\": "
    . "No such file or directory\n", 'is one line');
is(scalar($recv->requests), $sent, 'before anything is sent');

my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die;
my $run = $t->ctl_start('verify-integration', "--junit=$file",
    '--url=http://127.0.0.1:' . $silent->sockport . '/', "--secret=$SECRET");
my $conn = IO::Select->new($silent)->can_read(20) && $silent->accept;
ok($conn, 'a receiver that does not answer');
is_deeply([glob "$file.*"], [], 'no other file is there meanwhile');
$run->stop('KILL');
ok(-s $file == $before, 'and the file stays as it was when the command is killed');

($rc, $out) = $t->ctl('verify-integration', "--junit=$file",
    '--url=' . $recv->url('/right'), "--secret=$SECRET");
like($out, qr/^\d+ of 14 passed/m, 'the lines are printed besides');

done_testing();
