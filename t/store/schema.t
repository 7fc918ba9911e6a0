#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The validator against the JSON Schema test suite, in the two editions that
# Debian has: json-schema-test-suite, of draft 7, and the one of 2020-12
# that comes with Test::JSON::Schema::Acceptance.  Nothing may be checked
# wrongly; a group whose schema is refused is skipped, and only for the reasons
# listed here.

use warnings;
use strict;

use Test::More;

my $helper = ($ENV{BUILD} || 'build') . '/helper/schema';

my %suites = (
    'draft2020-12' => '/usr/share/perl5/auto/share/dist/'
        . 'Test-JSON-Schema-Acceptance/tests/draft2020-12',
    'draft7' => '/usr/share/json-schema-test-suite/tests/draft7',
);

# Files of keywords that are not claimed, or only of references to documents
# elsewhere (defs: the metaschema).
my %unclaimed = map { $_ => 1 } qw(
    dynamicRef unevaluatedItems unevaluatedProperties vocabulary refRemote
    unknownKeyword defs
);

# Files that test something else in another draft than 2020-12.
my %changed = map { $_ => 1 } qw(
    additionalItems definitions dependencies
);

# Why a schema of the files that are left may be refused.
my @reasons = (
    [qr/^: "\$ref" names no schema of this document: http/,
        'a reference to another document'],
    [qr/"\$id" must be a string without '#', and at the top/,
        'an $id below the top'],
    [qr/"\$anchor" is there twice/, 'an anchor twice, below an $id'],
    [qr/"unevaluatedProperties" is not a keyword/,
        'the keyword unevaluatedProperties'],
);

my @reasons7 = (
    [qr/"items" must be one schema/, 'items as a list, now prefixItems'],
    [qr/"definitions" is not a keyword/, 'definitions, now $defs'],
    [qr/"tilda~field" is not a keyword/, 'an unknown keyword'],
    [qr/"\$ref" names no schema of this document/,
        'a reference to another document'],
);

for my $draft (sort keys %suites) {
    my $dir = $suites{$draft};

SKIP: {
        skip "$dir is not installed", 1 if !-d $dir;

        my $old = $draft eq 'draft7';

        for my $file (sort glob "$dir/*.json") {
            my ($name) = $file =~ m{([^/]+)\.json$};

            if ($unclaimed{$name} || $old && $changed{$name}) {
                note("$draft $name: skipped, not claimed");
                next;
            }

            # newer suites keep a file whose tests have moved elsewhere
            if (slurp($file) =~ /\A\s*\[\s*\]\s*\z/) {
                note("$draft $name: skipped, there is nothing in it");
                next;
            }

            run($draft, $name, $file, $old ? @reasons7 : @reasons);
        }
    }
}

done_testing();

sub slurp {
    open my $in, '<', $_[0] or die "cannot read $_[0]: $!";
    local $/;
    return <$in>;
}

sub run {
    my ($draft, $name, $file, @why) = @_;

    my %count = (ok => 0, wrong => 0, refused => 0);
    my @faults;

    open my $out, '-|', $helper, $file or die "cannot run $helper: $!";

    while (my $line = <$out>) {
        chomp $line;
        my ($outcome, $group, $test, $detail) = split /\t/, $line;

        $count{$outcome}++;

        if ($outcome eq 'wrong') {
            push @faults, "$group: $test: $detail";

        } elsif ($outcome eq 'refused') {
            my ($reason) = map { $_->[1] } grep { $detail =~ $_->[0] } @why;

            push @faults, "$group: refused: $detail" if !$reason;
            note("$draft $name: \"$group\" skipped: " . ($reason || '?'));
        }
    }

    close $out;

    ok($? == 0 && $count{ok} > 0 && !@faults,
        "$draft $name: $count{ok} tests, $count{refused} groups skipped")
        or diag(join "\n", @faults);
}
